#!/usr/bin/env bash
# Makes an instance a CircleCI runner, at every boot: the first, a warm start, a reboot. If it fails, systemd makes the
# instance leave, because an instance without a runner costs money and does nothing.
set -Eeuo pipefail
. "$(dirname "$0")/aws.sh"
. "$(dirname "$0")/packages.sh"
. "$(dirname "$0")/prepare.sh"
CONFIG=${CONFIG:-/etc/autoscaler}
# The task's working directory is created here.
WORK=${WORK:-/var/lib/autoscaler/work}

trap 'say "failed in line $LINENO: $BASH_COMMAND"' ERR
# A warm instance is stopped while it waits. That is not a failure.
trap 'exit 0' TERM

fail() {
  say "$*"
  exit 1
}

# When an instance starts, the group's timeout begins some seconds before the kernel and systemd.
begin_with_launch() {
  microseconds=$(systemctl show --value --property=UserspaceTimestampMonotonic)
  began=$((microseconds / 1000000 - 20))
}

# tell_times: one line from which Find Leftovers reads how long each part of the boot took: when systemd started, what was
# before the user data, they, what was installed, and the rest.
tell_times() {
  local set_up start=$((microseconds / 10000)) epoch
  # Otherwise it waited in a warm pool in the middle of this boot.
  $resumed || ! marked warmed || return
  hundredths
  set_up=$(cat "$RUN/set-up")
  set_up=${set_up/./}
  printf -v epoch '%(%s)T' -1
  say "times: $resumed $((epoch - (moment - start) / 100)) $((set_up - start)) $((unit_at - set_up)) $((prepared_at - unit_at)) $((moment - prepared_at))"
}

# curl signs requests with the headers that S3 needs since 7.87: https://github.com/curl/curl/pull/9804
check_curl() {
  local version major minor
  read -r _ version _ < <(curl --version)
  IFS=. read -r major minor _ <<<"$version"
  [ "$((major * 1000 + minor))" -ge 7087 ] ||
    fail "this image has curl $version, and 7.87 is needed: take Ubuntu 24.04, Debian 12, Amazon Linux 2023 or newer"
}

identify() {
  mkdir -p "$RUN"
  # For the subshells below. They try again.
  metadata_token || true
  AWS_REGION=$(persist metadata placement/region)
  INSTANCE_ID=$(persist metadata instance-id)
  export AWS_REGION INSTANCE_ID
  printf 'AWS_REGION=%s\nINSTANCE_ID=%s\n' "$AWS_REGION" "$INSTANCE_ID" >"$RUN/instance"
  state=$(target_state || true)
  mkdir -p "$STATE"
}

# The last resort: leave at this age, whatever runs.
limit_age() {
  systemctl is-active --quiet autoscaler-leave.timer ||
    systemd-run --quiet --unit=autoscaler-leave.service --on-active="$AGE_LIMIT_SECONDS"
}

# A warm instance must not claim work, so it waits here, stopped or running.
await_in_service() {
  local now last
  clock
  last=$now
  until state=$(target_state) && [ "$state" = InService ]; do
    clock
    # The instance was hibernated, and the uptime includes that time.
    if [ $((now - last)) -gt 60 ]; then begin_time; fi
    last=$now
    case $state in
      Warmed:*)
        begin_time
        marked warmed || ! complete_launch CONTINUE >/dev/null || mark warmed
        ;;
      Standby) begin_time ;;
      ?*) fail "the group wants this instance $state" ;;
      *) ! over 1 || fail 'no group wants this instance in service' ;;
    esac
    sleep 1
  done
}

read_token() {
  local answer error
  answer=$(aws_call secretsmanager <<REQUEST
header="content-type: application/x-amz-json-1.1"
header="x-amz-target: secretsmanager.GetSecretValue"
data="{\"SecretId\": \"$RUNNER_SECRET_NAME\"}"
REQUEST
  ) || {
    # Only the error's name: the rest could quote the secret.
    error=$(grep -oEm 1 '[A-Za-z]+(Exception|Error)' <<<"$answer")
    say "secret $RUNNER_SECRET_NAME: ${error:-no answer}"
    refused "$error"
    return
  }
  # Around it may be spaces and line ends.
  [[ $answer =~ \"SecretString\"[[:space:]]*:[[:space:]]*\"(\\[nrt]|[[:space:]])*([A-Za-z0-9_.~+/=:-]+)(\\[nrt]|[[:space:]])*\" ]] || {
    say 'the runner secret must be the resource class token'
    return "$FINAL"
  }
  echo "${BASH_REMATCH[2]}"
}

# Reads the token meanwhile. A pipe holds it.
begin_to_read_token() {
  exec 8< <(persist read_token)
  reader=$!
}

# The shell itself writes the token, so no command line shows it.
configure() {
  local token ssh=''
  [ -n "$reader" ] || begin_to_read_token
  token=$(cat <&8)
  wait "$reader"
  [ -z "$SSH_RERUN_ADDRESS" ] || ssh=$("$LIB/ssh-rerun")
  install -d -m 0700 "$CONFIG"
  install -d "$STATE/agent"
  install -d -o circleci -m 0750 "$WORK"
  (
    umask 077
    cat >"$CONFIG/runner.yaml" <<CONFIGURATION
api:
  auth_token: "$token"
  url: "$CIRCLECI_URL"
runner:
  name: "$INSTANCE_ID"
  mode: $RUNNER_MODE
  idle_timeout: $((IDLE_TIMEOUT_SECONDS))s
  max_run_time: ${MAX_RUN_TIME_SECONDS}s
  # Each task's directory is removed after the task. The next task creates its own, so its user may write here.
  working_directory: $WORK/task
  cleanup_working_directory: true
  task_agent_directory: $STATE/agent
  # If memory or CPU runs out, the task must suffer, not the heartbeat.
  command_prefix: ["choom", "-n", "500", "--", "nice", "-n", "5", "$LIB/as-task-user"]
  enable_unsafe_retries: $UNSAFE_RETRIES
$ssh
logging:
  format: json
CONFIGURATION
  )
}

start_runner() {
  # If the hook timed out just as the runner starts, the instance would be terminated with the job that it claims.
  if $late || over 1/2; then
    persist launch_hook RecordLifecycleActionHeartbeat
  fi
  mark started
  touch "$RUN/started"
  systemctl start autoscaler-runner.service
}

# Sends CONTINUE for a runner that stays up, until AWS accepts it: a hook that times out ends the job.
report() {
  local _
  # Nothing but its first task says that a runner has registered. One with a wrong token ends within seconds.
  for _ in 1 2 3; do
    sleep 1
    [ -z "$(task)" ] || break
  done
  while ! marked launched && systemctl is-active --quiet autoscaler-runner.service; do
    if complete_launch CONTINUE; then mark launched; else pause 8; fi
  done
}

# From here on a fault must not fail the unit.
follow() {
  systemctl start autoscaler-watch.service || true
  report || true
  [ -z "$LOG_GROUP_NAME" ] || "$LIB/ship-logs" start || say 'no logs in CloudWatch: see above'
}

late=false resumed=false reader=''
hundredths
unit_at=$moment
begin_with_launch
check_curl
phase identity identify
if [ -e "$RUN/started" ]; then
  say 'the runner was started in this boot already'
  # This unit may have been restarted just before that.
  [ "$(systemctl show --value --property=InactiveExitTimestampMonotonic autoscaler-runner.service)" != 0 ] ||
    systemctl start autoscaler-runner.service
  follow
  exit
fi
if marked warmed; then resumed=true; fi
if marked started; then fail 'rebooted after its runner had started'; fi
ready=false
if is_prepared; then
  ready=true
  # Not in a warm pool: the instance may sleep for days, and the token is to be the one of its start.
  [ "$state" != InService ] || begin_to_read_token
fi
if [[ $state != Warmed:* ]]; then
  limit_age
  # An unfinished boot has used a part of the hook's time.
  if marked begun; then late=true; fi
  mark begun
fi
[ -z "${http_proxy-}" ] || phase 'proxy' "$LIB/proxy"
$ready || prepare
hundredths
prepared_at=$moment
if [ "$state" != InService ]; then
  phase 'wait for InService' await_in_service
  limit_age
  begin_time
fi
# After hibernation, an instance has its old memory but empty disks.
[ "$WORKING_DIRECTORY" != instance-store ] || phase 'instance store' "$LIB/instance-store"
phase configuration configure
phase 'runner start' start_runner
tell_times || true
follow
