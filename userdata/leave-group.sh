#!/usr/bin/env bash
# Terminates this instance in its Auto Scaling group, with a decrement. Only this script lowers the desired capacity for the
# instance, and only once. Its caller then powers off, which terminates the instance as well. But the group replaces an
# instance that powers off without having left, so this script retries for a long time first.
set -uo pipefail
. "$(dirname "$0")/aws.sh"

# Seconds of retries to leave, and then to report the instance unhealthy.
PATIENCE=420 LAST_PATIENCE=30

# Two callers can run at the same time: the ended runner, the failed boot, the age limit.
mkdir -p "$RUN"
exec 9>"$RUN/leaving"
flock 9
export AWS_REGION=${AWS_REGION:-$(metadata placement/region)} INSTANCE_ID=${INSTANCE_ID:-$(metadata instance-id)}
if marked left; then exit 0; fi

finish_launch() {
  marked launched && return
  say "completing the launch: $1"
  retry "$LAST_PATIENCE" complete_launch "$1" && mark launched
}

# An instance that the group must replace (see watch.sh) does not lower the desired capacity.
decrement=true
if marked replace; then decrement=false; fi

# One attempt.
terminate() {
  local answer
  # The metadata may have failed to answer above.
  AWS_REGION=${AWS_REGION:-$(metadata placement/region)} INSTANCE_ID=${INSTANCE_ID:-$(metadata instance-id)}
  case $(target_state) in
    # If the answer of a call was lost, this shows its effect.
    Terminated | Detached) return ;;
    # The group cannot terminate it in this state. ABANDON, below, ends the launch.
    Warmed:*) return ;;
  esac
  answer=$(autoscaling TerminateInstanceInAutoScalingGroup "ShouldDecrementDesiredCapacity=$decrement") && return
  say "cannot leave (decrement: $decrement): $answer"
  case $answer in
    *'not found'*) return ;;
    *ValidationError*) $decrement || return "$FINAL" ;;
    *)
      refused "$answer"
      return
      ;;
  esac
  # A group at its minimum replaces this instance.
  decrement=false
  terminate
}

say "leaving group $GROUP_NAME"
# Wait until the last lines have reached CloudWatch Logs.
if [ -n "$LOG_GROUP_NAME" ]; then timeout -k 10 60 "$LIB/ship-logs" && sleep 3; fi
# If the runner succeeded, its launch succeeded, even if it ended soon.
if [ "${SERVICE_RESULT:-}" = success ]; then finish_launch CONTINUE; fi
if ! retry "$PATIENCE" terminate; then
  say 'the group refuses: reporting this instance unhealthy'
  retry "$LAST_PATIENCE" autoscaling SetInstanceHealth HealthStatus=Unhealthy ShouldRespectGracePeriod=false >/dev/null
fi
finish_launch ABANDON
mark left
