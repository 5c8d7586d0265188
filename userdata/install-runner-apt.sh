#!/usr/bin/env bash
# Installs the newest machine runner 3 on Ubuntu, from CircleCI's package repository.
set -euo pipefail
. "$(dirname "$0")/aws.sh"

repository=${RUNNER_PACKAGES_URL:-https://packagecloud.io/install/repositories/circleci/runner}
retry 4 curl -fsSL -m 60 -o /tmp/repository "$repository/script.deb.sh?any=true"
retry 3 timeout 300 bash /tmp/repository
retry 3 timeout 300 apt-get install -y circleci-runner
