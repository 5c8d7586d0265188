#!/usr/bin/env bash
# Configures the fleet's proxy for everything that does not inherit this boot's environment: jobs, apt and dnf under sudo,
# Docker, and other services. A second run writes the same files.
set -euo pipefail
. "$(dirname "$0")/aws.sh"
root=${ROOT:-}
proxy=${http_proxy:?}
names=(http_proxy https_proxy HTTP_PROXY HTTPS_PROXY no_proxy NO_PROXY)

# replace FILE: replaces the part between our two marker lines with stdin; the rest of the file stays
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

# PAM reads this file (for sudo and cron), and as-task-user.sh does.
replace "$root/etc/environment" <<<"$assignments"
# Login shells read this file.
sed "s/=\(.*\)/='\1'/; s/^/export /" <<<"$assignments" >"$root/etc/profile.d/autoscaler-proxy.sh"

# sudo does not pass the proxy variables on.
if [ -d "$root/etc/apt/apt.conf.d" ]; then
  printf 'Acquire::%s::Proxy "%s";\n' http "$proxy" https "$proxy" >"$root/etc/apt/apt.conf.d/99-autoscaler-proxy"
fi
if [ -e "$root/etc/dnf/dnf.conf" ]; then
  sed -i "/^proxy=/d; s|^\[main\]$|&\nproxy=$proxy|" "$root/etc/dnf/dnf.conf"
fi

# For services that start from now on, and for those that an image starts before this script.
mkdir -p "$root/etc/systemd/system.conf.d"
printf '[Manager]\nDefaultEnvironment=%s\n' "${assignments//$'\n'/ }" \
  >"$root/etc/systemd/system.conf.d/autoscaler-proxy.conf"
systemctl daemon-reload
for unit in docker amazon-ssm-agent snap.amazon-ssm-agent.amazon-ssm-agent; do
  systemctl try-restart --no-block "$unit.service" 2>/dev/null || true
done
