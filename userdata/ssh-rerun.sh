#!/usr/bin/env bash
# Prints the lines of runner.yaml, below `runner:`, with the address that CircleCI shows for an SSH rerun. If the instance
# lacks such an address, the runner starts anyway, and nobody can rerun its tasks with SSH.
set -euo pipefail
. "$(dirname "$0")/aws.sh"

if ! address=$(metadata "$SSH_RERUN_ADDRESS"); then
  say "no SSH reruns here: the instance has no $SSH_RERUN_ADDRESS address"
  exit 0
fi
case $address in *:*) address="[$address]" ;; esac
# The port is CircleCI's: https://support.circleci.com/hc/en-us/articles/13659631461403-Enable-SSH-on-a-Machine-Runner
printf '  ssh:\n    advertise_addr: "%s:54782"\n' "$address"
