#!/usr/bin/env bash
# Starts Docker: the image's own, or the distribution's package.
set -euo pipefail
. "$(dirname "$0")/aws.sh"
. "$(dirname "$0")/packages.sh"

if ! command -v dockerd >/dev/null; then
  package=docker
  if command -v apt-get >/dev/null; then package=docker.io; fi
  install_packages "$package"
fi
systemctl enable --now docker.service
# The image may have Docker without its group.
groupadd --force docker
