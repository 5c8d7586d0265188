#!/usr/bin/env bash
# What the example's jobs need on an instance. It runs as root at boot, without anybody to answer questions.
set -euo pipefail
apt-get update
DEBIAN_FRONTEND=noninteractive apt-get install -y nodejs npm
