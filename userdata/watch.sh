#!/usr/bin/env bash
# Checks every 5 s whether EC2 takes this Spot instance back, as the EC2 guide advises, and whether somebody recycles it.
set -uo pipefail
. "$(dirname "$0")/aws.sh"

# The runner has a child process while it has a task, and none while it is idle. Processes that a task leaves behind, such
# as a build tool's daemon, are not its children.
busy() {
  local runner
  # If systemd does not answer, assume that a task runs.
  runner=$(systemctl show --value --property=MainPID autoscaler-runner.service) || return 0
  [ "${runner:-0}" -gt 0 ] && pgrep --parent "$runner" >/dev/null
}

# Tells once when the runner took its first task, for Find Leftovers. After five minutes, the instance was not launched for it.
tell_claim() {
  local now runner child age
  clock
  if [ $((now - began)) -gt 300 ]; then claim=late; fi
  runner=$(systemctl show --value --property=MainPID autoscaler-runner.service) && [ "${runner:-0}" -gt 0 ] &&
    child=$(pgrep --oldest --parent "$runner") && age=$(ps -o etimes= -p "$child") || return
  claim=told
  say "times of a claim: FirstClaim $(((now - began - age) * 1000)) ms"
}

claim=waiting
begin_time
while sleep 5; do
  if metadata spot/instance-action; then
    notice=interruption
  elif metadata events/recommendations/rebalance; then
    notice=rebalance
  # `npm run recycle` sets this tag.
  elif metadata tags/instance/circleci-runners:recycle >/dev/null; then
    notice=recycle
  else
    [ "$claim" != waiting ] || tell_claim
    continue
  fi
  if busy; then
    # Only an interruption may disturb a job.
    [ "$notice" = interruption ] || continue
    mark replace
  fi
  say "$notice: telling the runner to end"
  # TERM: an idle runner exits; a busy one finishes its task, or hands it back with enable_unsafe_retries.
  systemctl stop --no-block autoscaler-runner.service
  exit
done
