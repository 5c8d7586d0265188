#!/usr/bin/env bash
# Checks an instance of a new image: a boot finds everything installed, and what a boot starts can start.
# shellcheck disable=SC2317 # `check` calls the functions.
set -uo pipefail
. "$(dirname "$0")/aws.sh"
. "$(dirname "$0")/packages.sh"
. "$(dirname "$0")/prepare.sh"

failed=0
# check WHAT COMMAND...
check() {
  if "${@:2}" >&2; then
    say "ok: $1"
  else
    say "FAILED: $1"
    failed=1
  fi
}

# Whatever it answers, it must be a program that runs here: 126 and 127 say that it is not, 128 and more that it crashed.
# CircleCI documents no command for the version, so an answer without one is no fault.
runner_starts() {
  local answer status=0
  answer=$(timeout 20 circleci-runner --version 2>&1) || status=$?
  printf '%s\n' "$answer"
  [ "$status" -lt 124 ] || return
  release=none
  if [[ $answer =~ (^|[^0-9.])([0-9]+\.[0-9]+\.[0-9]+) ]]; then release=${BASH_REMATCH[2]}; fi
}

# The checksum of its archive is the pinned one, but the version beside it may not be.
is_pinned_release() { [ "$release" = none ] || [ "$release" = "${RUNNER_VERSION%%-*}" ]; }

firewall_loads() { ALLOW_INSTANCE_METADATA=false "$LIB/block-metadata" && nft delete table inet circleci_autoscaler; }
units_verify() { systemd-analyze verify /etc/systemd/system/autoscaler-{boot,boot-failed,runner,watch,leave}.service; }

# An update beside a boot or a job would hold the package manager's locks.
updates_masked() {
  local unit state
  for unit in $UPDATES; do
    state=$(systemctl is-enabled "$unit" 2>/dev/null)
    case $state in masked | not-found | '') ;; *) say "$unit is $state" && return 1 ;; esac
  done
}

check 'a boot has nothing to install' is_prepared
check 'the runner starts' runner_starts
say "the version that the runner reports: ${release:=none}"
[ ! -e "$STATE/runner-$RUNNER_VERSION" ] || check "the runner is the pinned $RUNNER_VERSION" is_pinned_release
check "the firewall's rules load" firewall_loads
check 'the units verify' units_verify
check 'no updates run by themselves' updates_masked
check 'there is a task user' id circleci
[ "$DOCKER" != true ] || check 'Docker runs' docker info
[ -z "$LOG_GROUP_NAME" ] || check 'the agent of the logs is installed' test -e /opt/aws/amazon-cloudwatch-agent
exit "$failed"
