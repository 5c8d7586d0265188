#!/usr/bin/env bash
# Checks every 5 s whether EC2 takes this Spot instance back, as the EC2 guide advises, and whether somebody recycles it.
set -uo pipefail
. "$(dirname "$0")/aws.sh"

# Tells once when the runner took its first task, for Find Leftovers. After five minutes, the instance was not launched for it.
tell_claim() {
  local now child age
  clock
  [ $((now - began)) -le 300 ] || claim=late
  child=$(task) && age=$(ps -o etimes= -p "$child") || return
  claim=told
  say "claim: $((now - began - age))"
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
  if task >/dev/null; then
    # Only an interruption may disturb a job.
    [ "$notice" = interruption ] || continue
    mark replace
  fi
  say "$notice: telling the runner to end"
  # TERM: an idle runner exits; a busy one finishes its task, or hands it back with enable_unsafe_retries.
  systemctl stop --no-block autoscaler-runner.service
  exit
done
