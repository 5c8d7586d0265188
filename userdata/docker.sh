#!/usr/bin/env bash
# Has Docker run: the one that the image has, or the distribution's.
set -euo pipefail
. "$(dirname "$0")/aws.sh"
. "$(dirname "$0")/packages.sh"

if ! command -v dockerd >/dev/null; then
  package=docker
  if command -v apt-get >/dev/null; then package=docker.io; fi
  install_packages "$package"
fi
systemctl enable --now docker.service
# Whoever made the image may have installed Docker without its group.
groupadd --force docker
