#!/usr/bin/env bash
# Installs the newest machine runner 3 from CircleCI's package repository, with whichever of apt and dnf the image has.
set -euo pipefail
. "$(dirname "$0")/aws.sh"

manager=dnf format=rpm
if command -v apt-get >/dev/null; then manager=apt-get format=deb; fi
repository=${RUNNER_PACKAGES_URL:-https://packagecloud.io/install/repositories/circleci/runner}
retry 4 curl -fsSL -m 60 -o /tmp/repository "$repository/script.$format.sh?any=true"
retry 3 timeout 300 bash /tmp/repository
retry 3 timeout 300 "$manager" install -y circleci-runner
