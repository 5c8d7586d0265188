#!/usr/bin/env bash
# Prepares an instance for an image of it: removes tokens, credentials, logs and keys, and checks that the resource class
# token is nowhere on the disk. Run it as root, then make the image without a reboot. What it removes may be on a fleet's
# instance or one that somebody set up by hand. Installed software, the runner and the marks of the boot stay.
set -euo pipefail
[ $# -eq 0 ] || {
  echo 'Usage: sudo ./clean-image.sh, without arguments, on the instance that becomes an image. It deletes tokens,' >&2
  echo 'credentials, logs and SSH host keys of this machine at once. docs/instance-life.md describes it.' >&2
  exit 2
}
[ "$(id -u)" -eq 0 ] || {
  echo 'clean-image: run it as root' >&2
  exit 1
}

# What is on the disk of an image can be read by whoever can launch it, also in blocks of deleted files. So files with
# secrets are overwritten first.
erase() {
  find "$@" -xdev -type f -exec shred --iterations=1 --remove {} + 2>/dev/null || true
}

tokens=$(mktemp -p /dev/shm)
trap 'rm -f "$tokens"' EXIT
# The resource class token of a fleet's instance, or of a runner that somebody configured.
sed -nE 's/^ *auth_token: *"?([^"]{8,})"? *$/\1/p' /etc/autoscaler/runner.yaml \
  /etc/circleci-runner/circleci-runner-config.yaml >"$tokens" 2>/dev/null || true

erase /etc/autoscaler/runner.yaml /etc/circleci-runner/circleci-runner-config.yaml
for home in /root /home/*; do
  erase "$home"/.{aws,docker,ssh,config/gcloud,azure,gnupg,kube} \
    "$home"/.{netrc,npmrc,pypirc,git-credentials,yarnrc.yml,bash_history,python_history,lesshst,viminfo}
done
# What jobs worked on, and what CircleCI gave them to run.
erase /var/lib/autoscaler/work /var/lib/autoscaler/agent
rm -rf /var/lib/autoscaler/{work,agent}

# An instance of the image gets its own.
rm -f /etc/ssh/ssh_host_*
: >/etc/machine-id
rm -rf /tmp/* /var/tmp/*
if command -v cloud-init >/dev/null; then cloud-init clean --logs --seed; fi
journalctl --rotate 2>/dev/null || true
journalctl --vacuum-time=1s --quiet 2>/dev/null || true
erase /var/log

if [ -s "$tokens" ]; then
  found=$(grep --recursive --files-with-matches --fixed-strings --file="$tokens" --devices=skip --exclude-dir=proc \
    --exclude-dir=sys --exclude-dir=dev --exclude-dir=run / 2>/dev/null || true)
  if [ -n "$found" ]; then
    printf 'clean-image: the resource class token is still in:\n%s\n' "$found" >&2
    exit 1
  fi
fi
sync
echo 'clean-image: clean. Make the image now: aws ec2 create-image --no-reboot'
