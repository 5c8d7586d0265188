#!/usr/bin/env bash
# Prepares the machine from which an image is made, as the first boot of an instance does. The machine is in no group, has
# no token, and runs no job.
set -Eeuo pipefail
. "$(dirname "$0")/aws.sh"
. "$(dirname "$0")/packages.sh"
. "$(dirname "$0")/prepare.sh"

trap 'say "failed in line $LINENO: $BASH_COMMAND"' ERR

begin_time
AWS_REGION=$(persist metadata placement/region)
export AWS_REGION
mkdir -p "$STATE"
[ -z "${http_proxy-}" ] || phase 'proxy' "$LIB/proxy"
phase 'image' prepare
