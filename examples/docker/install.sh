#!/usr/bin/env bash
# What jobs with Docker need on an Ubuntu instance. It runs as root at boot, after Docker is installed.
set -euo pipefail
apt-get update
DEBIAN_FRONTEND=noninteractive apt-get install -y docker-buildx docker-compose-v2

# The address of a pull-through mirror of Docker Hub in your network, such as https://mirror.acme.internal. Without one,
# instances pull from Docker Hub, which limits pulls by address.
mirror=''
if [ -n "$mirror" ]; then
  mkdir -p /etc/docker
  printf '{ "registry-mirrors": ["%s"] }\n' "$mirror" >/etc/docker/daemon.json
  systemctl restart docker
fi
