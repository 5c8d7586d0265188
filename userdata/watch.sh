#!/usr/bin/env bash
# Asks every 5 s whether EC2 takes this Spot instance back, as the EC2 guide advises, and whether somebody recycles it.
set -uo pipefail
. "$(dirname "$0")/aws.sh"

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
  # A task runs behind command_prefix, as the task user.
  if pgrep -f 'sudo -niHu circleci' >/dev/null || pgrep -u circleci >/dev/null; then
    # Only an interruption is a reason to disturb a job.
    [ "$notice" = interruption ] || continue
    mark replace
  fi
  say "$notice: telling the runner to end"
  # TERM: an idle runner exits; a busy one finishes its task, or hands it back with enable_unsafe_retries.
  systemctl stop --no-block autoscaler-runner.service
  exit
done
