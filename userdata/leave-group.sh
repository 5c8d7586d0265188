#!/usr/bin/env bash
# Takes this instance out of its Auto Scaling group, which terminates it. Only here, and once, is the desired
# capacity lowered for it. Whoever runs this powers off next, which terminates it too; but an instance that powers off
# without having left is replaced, so this is patient first.
set -uo pipefail
. "$(dirname "$0")/aws.sh"

# For how long it tries to leave, in seconds, and then to report the instance unhealthy.
PATIENCE=420 LAST_PATIENCE=30

# Two may come at once: the runner that ended, the boot that failed, the age limit.
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

# An instance to be replaced (see watch) does not lower the desired capacity.
decrement=true
if marked replace; then decrement=false; fi

# One attempt
terminate() {
  local answer
  # The metadata may not have answered above.
  AWS_REGION=${AWS_REGION:-$(metadata placement/region)} INSTANCE_ID=${INSTANCE_ID:-$(metadata instance-id)}
  case $(target_state) in
    # What a call did whose answer was lost.
    Terminated | Detached) return ;;
    # Cannot be terminated in the group; ABANDON, below, gives it up.
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
  # At its minimum the group replaces this instance.
  decrement=false
  terminate
}

say "leaving group $GROUP_NAME"
# The last lines reach CloudWatch Logs first.
if [ -n "$LOG_GROUP_NAME" ]; then timeout -k 10 60 "$LIB/ship-logs" && sleep 3; fi
# A runner that ended well had a good launch, however soon it ended.
if [ "${SERVICE_RESULT:-}" = success ]; then finish_launch CONTINUE; fi
if ! retry "$PATIENCE" terminate; then
  say 'the group refuses: reporting this instance unhealthy'
  retry "$LAST_PATIENCE" autoscaling SetInstanceHealth HealthStatus=Unhealthy ShouldRespectGracePeriod=false >/dev/null
fi
finish_launch ABANDON
mark left
