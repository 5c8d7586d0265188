#!/usr/bin/env bash
# Checks that nothing is left on the machine that its image must not have: secrets, settings of a fleet, state of cloud-init
# and the machine's id. It runs after image-clean.sh.
set -euo pipefail

found=()
for path in /etc/autoscaler /opt/autoscaler /var/lib/cloud/instance /var/lib/autoscaler/{work,agent,begun,started,launched} \
  /root/.aws /root/.netrc /root/.docker/config.json /root/.git-credentials /root/.npmrc \
  /home/*/{.aws,.netrc,.docker/config.json,.git-credentials,.npmrc}; do
  [ ! -e "$path" ] || found+=("$path")
done
[ ! -s /etc/machine-id ] || found+=("/etc/machine-id, which has an id")
[ ! -s /var/lib/dbus/machine-id ] || found+=("/var/lib/dbus/machine-id, which has an id")
# The package of CircleCI brings a configuration with an empty token.
if grep -rqsE 'auth_token: *"?[^" ]' /etc/circleci-runner; then found+=("a token in /etc/circleci-runner"); fi
if [ ${#found[@]} -gt 0 ]; then
  printf 'image-verify: the image would have %s\n' "${found[@]}" >&2
  exit 1
fi
echo 'image-verify: nothing is left behind' >&2
