# shellcheck shell=bash
# Functions for all scripts: time and retries, metadata by IMDSv2, and AWS's APIs with the instance's role. They need only
# curl and python3. A call is one attempt with a deadline.

LIB=${LIB:-/opt/autoscaler}
# The first directory survives a reboot, the second does not.
STATE=${STATE:-/var/lib/autoscaler}
RUN=${RUN:-/run/autoscaler}

say() { echo "${0##*/}: $*" >&2; }

# A mark belongs to this instance. An image of it, and instances of that image, do not have the mark.
mark() { echo "$INSTANCE_ID" >"$STATE/$1"; }
marked() { grep -qsx "$INSTANCE_ID" "$STATE/$1"; }

# Sets `now` to the seconds since the kernel started. Setting the clock during the boot does not change them.
clock() {
  read -r now _ <"${UPTIME:-/proc/uptime}"
  now=${now%.*}
}

# Sets `moment` to the hundredths of a second since the kernel started.
hundredths() {
  read -r moment _ <"${UPTIME:-/proc/uptime}"
  moment=$((10#${moment/./}))
}

# pause SECONDS: sleeps for a random shorter time, so that a hundred instances do not retry together
pause() { sleep "$((RANDOM % $1)).$((RANDOM % 900 + 100))"; }

# Exit statuses of an attempt: AWS refused it (a new permission can take some seconds), or a retry cannot help.
REFUSED=3 FINAL=4

# retry SECONDS COMMAND...: retries for this time, but only 10 s after the first refusal, with pauses of up to 1, 2, 4, 8
# and then 16 s
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

# Starts the time limit for the runner.
begin_time() {
  clock
  began=$now
}

# over FRACTION: succeeds if this fraction of the time limit has passed
over() {
  clock
  [ $((now - began)) -ge $((BOOT_TIMEOUT_SECONDS * $1)) ]
}

# Retries as long as the runner can still be up in time, and for at least 30 s.
persist() {
  local left
  clock
  left=$((began + BOOT_TIMEOUT_SECONDS * 3 / 4 - now))
  retry $((left > 30 ? left : 30)) "$@"
}

# Sets `imds` and `imds_token`, unless this shell or the one around it did so in the last 50 s. In subnets without IPv4, only the
# IPv6 address answers.
metadata_token() {
  local now header=X-aws-ec2-metadata-token-ttl-seconds
  clock
  if [ -n "${imds_token-}" ] && [ $((now - imds_token_at)) -lt 50 ]; then return; fi
  imds_token_at=$now
  for imds in ${IMDS_URL:-http://169.254.169.254 http://[fd00:ec2::254]}; do
    imds_token=$(curl -fsS -m 2 --retry 3 --noproxy '*' -X PUT -H "$header: 60" "$imds/latest/api/token") && return
  done
  return 1
}

# Prints the runner's child. It has one while it has a task, and none while it is idle. Processes that a task leaves behind,
# such as a build tool's daemon, are not its children. If systemd does not answer, assume that a task runs.
task() {
  local runner
  runner=$(systemctl show --value --property=MainPID autoscaler-runner.service) || return 0
  [ "${runner:-0}" -gt 0 ] && pgrep --oldest --parent "$runner"
}

# metadata ITEM: prints it; status 22 if it does not exist
metadata() {
  metadata_token && curl -fs -m 2 --retry 3 --noproxy '*' -H @- "$imds/latest/meta-data/$1" \
    <<<"X-aws-ec2-metadata-token: $imds_token"
}

# text_of KEY JSON: prints the text with this key, if it needs no escapes
text_of() { [[ $2 =~ \"$1\"[[:space:]]*:[[:space:]]*\"([^\"\\]+)\" ]] && echo "${BASH_REMATCH[1]}"; }

# The target lifecycle state in the group: InService, Terminated, Warmed:Stopped ...
target_state() { metadata autoscaling/target-lifecycle-state; }

# aws_call SERVICE [PATH] < the request's curl configuration: adds the credentials to it, and to no command line
aws_call() {
  local role credentials key secret session domain=amazonaws.com
  case $AWS_REGION in cn-*) domain=amazonaws.com.cn ;; esac
  metadata_token && role=$(metadata iam/security-credentials/) &&
    credentials=$(metadata "iam/security-credentials/$role") && key=$(text_of AccessKeyId "$credentials") &&
    secret=$(text_of SecretAccessKey "$credentials") && session=$(text_of Token "$credentials") &&
    cat - <(printf 'user="%s:%s"\nheader="x-amz-security-token: %s"\n' "$key" "$secret" "$session") | curl -sS --fail-with-body -m 20 --connect-timeout 5 \
      --aws-sigv4 "aws:amz:$AWS_REGION:$1" -K - "${AWS_ENDPOINT_URL:-https://$1.$AWS_REGION.$domain}/${2:-}"
}

# refused ANSWER: the exit status for this failed call
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
  # A ValidationError: no launch of this instance is waiting.
  refused "$answer"
}
complete_launch() { launch_hook CompleteLifecycleAction "LifecycleActionResult=$1"; }
