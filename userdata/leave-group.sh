#!/usr/bin/env bash
# Takes this instance out of its Auto Scaling group, which terminates it. Only here, and once, is the desired
# capacity lowered for it. Whoever runs this powers off next, which terminates it too.
set -uo pipefail
. "$(dirname "$0")/aws.sh"

# Two may come at once: the runner that ended, the boot that failed, the age limit.
exec 9>"$STATE/leaving"
flock 9
export AWS_REGION=${AWS_REGION:-$(metadata placement/region)} INSTANCE_ID=${INSTANCE_ID:-$(metadata instance-id)}
if marked left; then exit 0; fi

finish_launch() {
  marked launched && return
  say "completing the launch: $1"
  retry 3 complete_launch "$1" >/dev/null && mark launched
}

# An instance to be replaced (see watch) does not lower the desired capacity.
decrement=true
if marked replace; then decrement=false; fi

leave() {
  local answer pause
  for pause in 1 2 4 8 16 30 0; do
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
      *ValidationError*)
        $decrement || return 1
        # At its minimum the group replaces this instance.
        decrement=false
        ;;
      *) sleep "$pause" ;;
    esac
  done
  return 1
}

say "leaving group $GROUP_NAME"
# The last lines reach CloudWatch Logs first.
if [ -n "$LOGS_OBJECT" ]; then run_object "$LOGS_OBJECT" 60 && sleep 3; fi
# A runner that ended well had a good launch, however soon it ended.
if [ "${SERVICE_RESULT:-}" = success ]; then finish_launch CONTINUE; fi
if ! leave; then
  say 'the group refuses: reporting this instance unhealthy'
  retry 3 autoscaling SetInstanceHealth HealthStatus=Unhealthy ShouldRespectGracePeriod=false >/dev/null
fi
finish_launch ABANDON
mark left
