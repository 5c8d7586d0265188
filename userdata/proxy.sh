#!/usr/bin/env bash
# Has everything that does not inherit this boot's environment use the fleet's proxy as well: jobs, apt and dnf under
# sudo, Docker, and other services. Run again, it writes the same files.
set -euo pipefail
. "$(dirname "$0")/aws.sh"
root=${ROOT:-}
proxy=${http_proxy:?}
names=(http_proxy https_proxy HTTP_PROXY HTTPS_PROXY no_proxy NO_PROXY)

# replace FILE: stdin becomes the file's part between our two lines; the rest of it stays
replace() {
  local others
  others=$(sed '/^# autoscaler: proxy$/,/^# autoscaler: end$/d' "$1" 2>/dev/null || true)
  {
    [ -z "$others" ] || printf '%s\n' "$others"
    printf '# autoscaler: proxy\n%s\n# autoscaler: end\n' "$(cat)"
  } >"$1.new"
  mv "$1.new" "$1"
}

assignments=$(for name in "${names[@]}"; do echo "$name=${!name}"; done)

# Read by PAM, so by sudo and cron, and by as-task-user.
replace "$root/etc/environment" <<<"$assignments"
# Read by login shells.
sed "s/=\(.*\)/='\1'/; s/^/export /" <<<"$assignments" >"$root/etc/profile.d/autoscaler-proxy.sh"

# sudo hands no proxy on.
if [ -d "$root/etc/apt/apt.conf.d" ]; then
  printf 'Acquire::%s::Proxy "%s";\n' http "$proxy" https "$proxy" >"$root/etc/apt/apt.conf.d/99-autoscaler-proxy"
fi
if [ -e "$root/etc/dnf/dnf.conf" ]; then
  sed -i "/^proxy=/d; s|^\[main\]$|&\nproxy=$proxy|" "$root/etc/dnf/dnf.conf"
fi

# Services that start from here on, and those that an image starts before this boot.
mkdir -p "$root/etc/systemd/system.conf.d"
printf '[Manager]\nDefaultEnvironment=%s\n' "${assignments//$'\n'/ }" \
  >"$root/etc/systemd/system.conf.d/autoscaler-proxy.conf"
systemctl daemon-reload
for unit in docker amazon-ssm-agent snap.amazon-ssm-agent.amazon-ssm-agent; do
  systemctl try-restart --no-block "$unit.service" 2>/dev/null || true
done
