#!/usr/bin/env bash
# Makes an instance a CircleCI runner, at every boot: the first, a warm start, a reboot. If it fails,
# systemd has the instance leave: without a runner it is paid for, and useless.
set -Eeuo pipefail
. "$(dirname "$0")/aws.sh"
CONFIG=${CONFIG:-/etc/autoscaler}
APT=${APT:-/etc/apt/apt.conf.d}
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1

trap 'say "failed in line $LINENO after $SECONDS s: $BASH_COMMAND"' ERR
# A warm instance is stopped while it waits: no failure.
trap 'exit 0' TERM

# phase NAME COMMAND...: says how long it took
phase() {
  local start=${EPOCHREALTIME/[^0-9]/}
  "${@:2}"
  say "$1: $(((${EPOCHREALTIME/[^0-9]/} - start) / 1000)) ms"
}

fail() {
  say "$*"
  exit 1
}

identify() {
  mkdir -p "$STATE"
  AWS_REGION=$(retry 5 metadata placement/region)
  INSTANCE_ID=$(retry 5 metadata instance-id)
  # In an image of another instance, that one's boot leaves the instance to its own user data, which removes the file.
  if [ -e "$STATE/instance" ] && ! grep -qx "INSTANCE_ID=$INSTANCE_ID" "$STATE/instance"; then
    say 'an image of another instance: its own user data comes first'
    exit 0
  fi
  printf 'AWS_REGION=%s\nINSTANCE_ID=%s\n' "$AWS_REGION" "$INSTANCE_ID" >"$STATE/instance"
  state=$(target_state || true)
}

# The last resort.
limit_age() {
  systemctl is-active --quiet autoscaler-leave.timer ||
    systemd-run --quiet --unit=autoscaler-leave.service --on-active="$AGE_LIMIT_SECONDS"
}

# The image may bring the runner: the pinned release as it was installed, or any if none is pinned.
has_runner() {
  local runner
  runner=$(command -v circleci-runner) || return
  [ -z "$RUNNER_VERSION" ] || grep -qsx "$(sha256sum "$runner")" "$STATE/runner-$RUNNER_VERSION"
}

# And it may have had the very install script run.
install_once() {
  local installed="$STATE/installed-$INSTALL_SHA256"
  if [ -e "$installed" ]; then return; fi
  phase 'install script' run_object "$INSTALL_OBJECT" "$BOOT_TIMEOUT_SECONDS"
  touch "$installed"
}

install_runner() {
  phase 'runner package' "$LIB/install-runner"
  [ -z "$RUNNER_VERSION" ] || sha256sum "$(command -v circleci-runner)" >"$STATE/runner-$RUNNER_VERSION"
}

# What a warm start, or an image of such an instance, need not do again.
prepare() {
  local version="$INSTALL_OBJECT $RUNNER_VERSION"
  [ "$(cat "$STATE/prepared" 2>/dev/null)" != "$version" ] || return 0
  if [ -d "$APT" ]; then
    # Ubuntu updates itself in the background: wait for that, not for a dead mirror.
    systemctl stop apt-daily.timer apt-daily-upgrade.timer || true
    printf '%s;\n' 'DPkg::Lock::Timeout "180"' 'Acquire::Retries "3"' 'Acquire::http::Timeout "20"' \
      >"$APT/99-autoscaler"
  fi
  [ -z "$INSTALL_OBJECT" ] || install_once
  has_runner || install_runner
  command -v nft >/dev/null || retry 3 timeout 300 "$(command -v apt-get || echo dnf)" install -y nftables
  id circleci >/dev/null || useradd --create-home --shell /bin/bash circleci
  # The vendor's unit starts the runner again after its task.
  systemctl disable --now circleci-runner.service 2>/dev/null || true
  echo "$version" >"$STATE/prepared"
}

# A warm instance must not claim work: it waits here, stopped or running.
await_in_service() {
  local warm=false
  until state=$(target_state) && [ "$state" = InService ]; do
    case $state in
      Warmed:*)
        SECONDS=0
        $warm || ! complete_launch CONTINUE >/dev/null || warm=true
        ;;
      Standby) SECONDS=0 ;;
      ?*) fail "the group wants this instance $state" ;;
      *) [ "$SECONDS" -lt "$BOOT_TIMEOUT_SECONDS" ] || fail 'no group wants this instance in service' ;;
    esac
    sleep 1
  done
}

read_token() {
  local answer
  answer=$(aws_call secretsmanager <<REQUEST
header="content-type: application/x-amz-json-1.1"
header="x-amz-target: secretsmanager.GetSecretValue"
data="{\"SecretId\": \"$RUNNER_SECRET_NAME\"}"
REQUEST
  ) || {
    # Only the error's name: the rest could quote what was read.
    say "secret $RUNNER_SECRET_NAME: $(grep -oEm 1 '[A-Za-z]+(Exception|Error)' <<<"$answer")"
    return 1
  }
  python3 -c '
import json, re, sys
token = json.load(sys.stdin).get("SecretString", "").strip()
if not re.fullmatch(r"[\w.~+/=:-]+", token):
    sys.exit("the runner secret must be the resource class token")
print(token)' <<<"$answer"
}

# The shell itself writes the token: no command line shows it.
configure() {
  local token
  token=$(retry 4 read_token)
  install -d -m 0700 "$CONFIG"
  install -d "$STATE/agent"
  install -d -o circleci -m 0750 "$STATE/work"
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
  # Removed after each task, and made by the next, whose user may do so there.
  working_directory: $STATE/work/task
  cleanup_working_directory: true
  task_agent_directory: $STATE/agent
  # If memory or CPU runs out, the task yields, not the heartbeat.
  command_prefix: ["choom", "-n", "500", "--", "nice", "-n", "5", "sudo", "-niHu", "circleci", "--"]
  enable_unsafe_retries: $UNSAFE_RETRIES
logging:
  format: json
CONFIGURATION
  )
}

start_runner() {
  # A runner that starts as its hook times out could claim a job and be terminated with it.
  if $late || [ "$SECONDS" -gt $((BOOT_TIMEOUT_SECONDS / 2)) ]; then
    retry 4 launch_hook RecordLifecycleActionHeartbeat >/dev/null
  fi
  mark started
  systemctl start autoscaler-runner.service
}

# CONTINUE for a runner that stays up, until it is heard: a hook that times out ends the job.
report() {
  local answer
  sleep 3
  while systemctl is-active --quiet autoscaler-runner.service; do
    if answer=$(complete_launch CONTINUE); then
      mark launched
      return
    fi
    say "the launch cannot be completed yet: $answer"
    sleep 5
  done
}

late=false
phase identity identify
if marked started; then fail 'rebooted after its runner had started'; fi
if [[ $state != Warmed:* ]]; then
  limit_age
  # Part of the hook's time went into a boot that did not end.
  if marked begun; then late=true; fi
  mark begun
fi
prepare
if [ "$state" != InService ]; then
  phase 'wait for InService' await_in_service
  limit_age
  SECONDS=0
fi
phase configuration configure
phase 'runner start' start_runner
say "the runner is up $(cut -d ' ' -f 1 /proc/uptime) s after the kernel"
systemctl start autoscaler-watch.service
report
[ -z "$LOGS_OBJECT" ] || run_object "$LOGS_OBJECT" 600 || say 'no logs in CloudWatch: see above'
