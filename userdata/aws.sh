# shellcheck shell=bash
# What the scripts share: time and retries, metadata by IMDSv2, and AWS's APIs as the instance's role, with curl and
# python3 alone. A call is one attempt with a deadline.

LIB=${LIB:-/opt/autoscaler}
# What survives a reboot, and what does not.
STATE=${STATE:-/var/lib/autoscaler}
RUN=${RUN:-/run/autoscaler}

say() { echo "${0##*/}: $*" >&2; }

# A mark belongs to this very instance: an image of it, and an instance of that image, do not have it.
mark() { echo "$INSTANCE_ID" >"$STATE/$1"; }
marked() { grep -qsx "$INSTANCE_ID" "$STATE/$1"; }

# Sets `now` to the seconds since the kernel started: a clock that is set while the instance boots cannot stretch them.
clock() {
  read -r now _ <"${UPTIME:-/proc/uptime}"
  now=${now%.*}
}

# pause SECONDS: a random time below that, so that a hundred instances do not ask again in step
pause() { sleep "$((RANDOM % $1)).$((RANDOM % 900 + 100))"; }

# What an attempt says with its status: that AWS refused it, which can be some seconds behind what was changed there, or
# that another attempt would end alike.
REFUSED=3 FINAL=4

# retry SECONDS COMMAND...: for so long, or for 10 s from the first refusal, with pauses of up to 1, 2, 4, 8 and then 16 s
retry() {
  local now end limit=1 status
  clock
  end=$((now + $1))
  shift
  while true; do
    "$@" && return
    status=$?
    clock
    if [ "$status" -eq "$REFUSED" ] && [ "$end" -gt $((now + 10)) ]; then end=$((now + 10)); fi
    if [ "$status" -eq "$FINAL" ] || [ "$now" -ge "$end" ]; then
      say "failed for good: ${*:1:3}"
      return "$status"
    fi
    say "failed, trying again: ${*:1:3}"
    pause "$limit"
    limit=$((limit < 16 ? limit * 2 : 16))
  done
}

# metadata ITEM: status 22 if there is no such item. In subnets without IPv4, only the IPv6 address answers.
metadata() {
  local imds header=X-aws-ec2-metadata-token token=''
  for imds in ${IMDS_URL:-http://169.254.169.254 http://[fd00:ec2::254]}; do
    token=$(curl -fsS -m 2 --retry 3 --noproxy '*' -X PUT -H "$header-ttl-seconds: 60" "$imds/latest/api/token") &&
      break
  done
  [ -n "$token" ] && curl -fs -m 2 --retry 3 --noproxy '*' -H @- "$imds/latest/meta-data/$1" <<<"$header: $token"
}

# What the group wants the instance to be: InService, Terminated, Warmed:Stopped ...
target_state() { metadata autoscaling/target-lifecycle-state; }

# aws_call SERVICE [PATH] < the request's curl configuration: credentials join it, and no command line
aws_call() {
  local role credentials
  role=$(metadata iam/security-credentials/) &&
    credentials=$(metadata "iam/security-credentials/$role" | python3 -c '
import json, sys
c = json.load(sys.stdin)
print("user=\"%s:%s\"" % (c["AccessKeyId"], c["SecretAccessKey"]))
print("header=\"x-amz-security-token: %s\"" % c["Token"])') &&
    cat - <(echo "$credentials") | curl -sS --fail-with-body -m 20 --connect-timeout 5 \
      --aws-sigv4 "aws:amz:$AWS_REGION:$1" -K - "${AWS_ENDPOINT_URL:-https://$1.$AWS_REGION.amazonaws.com}/${2:-}"
}

# refused ANSWER: the status of a call that failed so
refused() {
  case $1 in *AccessDenied* | *NoSuch* | *ResourceNotFound* | *ValidationError*) return "$REFUSED" ;; *) return 1 ;; esac
}

# get_object BUCKET/KEY FILE
get_object() {
  aws_call s3 "$1" <<<'header="x-amz-content-sha256: UNSIGNED-PAYLOAD"' >"$2" || refused "$(head -c 500 "$2")"
}

# autoscaling ACTION PARAMETER=VALUE...: prints the answer, or the error
autoscaling() {
  local parameters
  printf -v parameters '&%s' "$@"
  aws_call autoscaling <<<"data=\"Version=2011-01-01&InstanceId=$INSTANCE_ID&Action=${parameters:1}\""
}

# The group's launch lifecycle hook: launch_hook ACTION [PARAMETER=VALUE]; complete_launch CONTINUE|ABANDON
launch_hook() {
  local answer
  answer=$(autoscaling "$@" "AutoScalingGroupName=$GROUP_NAME" LifecycleHookName=launch) && return
  say "$1: ${answer:-no answer}"
  # A ValidationError: no launch of this instance waits any more.
  refused "$answer"
}
complete_launch() { launch_hook CompleteLifecycleAction "LifecycleActionResult=$1"; }
