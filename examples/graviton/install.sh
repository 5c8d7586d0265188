#!/usr/bin/env bash
# What the example's jobs need on an Amazon Linux instance, which comes without git and without a compiler. The boot
# runs it as root. Nobody is there to answer questions, and what it prints is on the instance's console output.
set -euo pipefail
dnf install -y git gcc make tar gzip
