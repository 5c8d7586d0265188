#!/usr/bin/env bash
# Asks every 5 s whether EC2 takes this Spot instance back, as the EC2 guide advises.
set -uo pipefail
. "$(dirname "$0")/aws.sh"

while sleep 5; do
  if metadata spot/instance-action; then
    notice=interruption
  elif metadata events/recommendations/rebalance; then
    notice=rebalance
  else
    continue
  fi
  # A task runs behind command_prefix, as the task user.
  if pgrep -f 'sudo -niHu circleci' >/dev/null || pgrep -u circleci >/dev/null; then
    # A recommendation alone is no reason to disturb a job.
    [ "$notice" = interruption ] || continue
    mark replace
  fi
  say "$notice: telling the runner to end"
  # TERM: an idle runner exits; a busy one finishes its task, or hands it back with enable_unsafe_retries.
  systemctl stop --no-block autoscaler-runner.service
  exit
done
