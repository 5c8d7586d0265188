#!/usr/bin/env bash
# Looks every 5 s whether EC2 takes this Spot instance back, as the EC2 guide advises, and whether somebody recycles it.
set -uo pipefail
. "$(dirname "$0")/aws.sh"

# The runner has a child process for its task, and none while it is idle. What a task leaves behind, such as a build
# tool's daemon, is nobody's child.
busy() {
  local runner
  # If systemd does not answer, a task may be running.
  runner=$(systemctl show --value --property=MainPID autoscaler-runner.service) || return 0
  [ "${runner:-0}" -gt 0 ] && pgrep --parent "$runner" >/dev/null
}

while sleep 5; do
  if metadata spot/instance-action; then
    notice=interruption
  elif metadata events/recommendations/rebalance; then
    notice=rebalance
  # The tag that `npm run recycle` puts on it.
  elif metadata tags/instance/circleci-runners:recycle >/dev/null; then
    notice=recycle
  else
    continue
  fi
  if busy; then
    # Only an interruption is a reason to disturb a job.
    [ "$notice" = interruption ] || continue
    mark replace
  fi
  say "$notice: telling the runner to end"
  # TERM: an idle runner exits; a busy one finishes its task, or hands it back with enable_unsafe_retries.
  systemctl stop --no-block autoscaler-runner.service
  exit
done
