# shellcheck shell=bash
# What the scripts share: metadata by IMDSv2, and AWS's APIs as the instance's role, with curl and python3 alone.
# A call is one attempt with a deadline.

LIB=${LIB:-/opt/autoscaler}
STATE=${STATE:-/var/lib/autoscaler}

say() { echo "${0##*/}: $*" >&2; }

# What this very instance, and no image of it, has behind it.
mark() { echo "$INSTANCE_ID" >"$STATE/$1"; }
marked() { grep -qsx "$INSTANCE_ID" "$STATE/$1"; }

# retry ATTEMPTS COMMAND...: with pauses of 1, 2, 4, 8 ... s
retry() {
  local attempt
  for ((attempt = 1; attempt < $1; attempt++)); do
    "${@:2}" && return
    say "attempt $attempt of $1 failed: ${*:2:3}"
    sleep $((1 << (attempt - 1)))
  done
  "${@:2}"
}

# metadata ITEM: status 22 if there is no such item
metadata() {
  local imds=${IMDS_URL:-http://169.254.169.254}/latest header=X-aws-ec2-metadata-token token
  token=$(curl -fsS -m 2 --retry 3 -X PUT -H "$header-ttl-seconds: 60" "$imds/api/token") &&
    curl -fs -m 2 --retry 3 -H @- "$imds/meta-data/$1" <<<"$header: $token"
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

get_object() { aws_call s3 "$1" <<<'header="x-amz-content-sha256: UNSIGNED-PAYLOAD"' >"$2"; }

# run_object BUCKET/KEY SECONDS: a script that lies in S3, because user data has no room for it
run_object() {
  local script
  script=$(mktemp -p "$STATE")
  retry 4 get_object "$1" "$script" && chmod 0700 "$script" && timeout -k 10 "$2" "$script"
}

# autoscaling ACTION PARAMETER=VALUE...: prints the answer, or the error
autoscaling() {
  local IFS='&'
  aws_call autoscaling <<<"data=\"Version=2011-01-01&InstanceId=$INSTANCE_ID&Action=$*\""
}

# The group's launch lifecycle hook: launch_hook ACTION [PARAMETER=VALUE]; complete_launch CONTINUE|ABANDON
launch_hook() { autoscaling "$@" "AutoScalingGroupName=$GROUP_NAME" LifecycleHookName=launch; }
complete_launch() { launch_hook CompleteLifecycleAction "LifecycleActionResult=$1"; }
