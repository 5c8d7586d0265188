#!/usr/bin/env bash
# Makes an instance a CircleCI runner, at every boot: the first, a warm start, a reboot. If it fails, systemd makes the
# instance leave, because an instance without a runner costs money and does nothing.
set -Eeuo pipefail
. "$(dirname "$0")/aws.sh"
. "$(dirname "$0")/packages.sh"
CONFIG=${CONFIG:-/etc/autoscaler}
# The task's working directory is created here.
WORK=${WORK:-/var/lib/autoscaler/work}
# Packages and needrestart must not ask questions or restart services.
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l NEEDRESTART_SUSPEND=1

trap 'say "failed in line $LINENO: $BASH_COMMAND"' ERR
# A warm instance is stopped while it waits. That is not a failure.
trap 'exit 0' TERM

# phase NAME COMMAND...: runs a command and logs its duration
phase() {
  local start end
  read -r start _ <"${UPTIME:-/proc/uptime}"
  "${@:2}"
  read -r end _ <"${UPTIME:-/proc/uptime}"
  say "$1: $((10 * (10#${end/./} - 10#${start/./}))) ms"
}

fail() {
  say "$*"
  exit 1
}

# Starts the time limit for the runner.
begin_time() {
  clock
  began=$now
}

# When an instance starts, the group's timeout begins some seconds before the kernel and systemd.
begin_with_launch() {
  local microseconds
  microseconds=$(systemctl show --value --property=UserspaceTimestampMonotonic)
  began=$((microseconds / 1000000 - 20))
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

# curl signs requests with the headers that S3 needs since 7.87: https://github.com/curl/curl/pull/9804
check_curl() {
  local version
  read -r _ version _ < <(curl --version)
  printf '%s\n' 7.87 "$version" | sort -CV ||
    fail "this image has curl $version, and 7.87 is needed: take Ubuntu 24.04, Debian 12, Amazon Linux 2023 or newer"
}

identify() {
  mkdir -p "$RUN"
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

# The image may have the runner: the unchanged release that the fleet pins, or any release if the fleet pins none.
has_runner() {
  local runner
  runner=$(command -v circleci-runner) || return
  [ "${RUNNER_REQUIRED:-false}" = false ] || grep -qsx "$(sha256sum "$runner")" "$STATE/runner-$RUNNER_VERSION"
}

install_runner() {
  if has_runner; then return; fi
  phase 'runner' persist "$LIB/install-runner"
  [ -z "$RUNNER_VERSION" ] || sha256sum "$(command -v circleci-runner)" >"$STATE/runner-$RUNNER_VERSION"
}

# The output of an install script that failed for a lock, the network or a clock that is not set yet: of apt, dpkg, dnf,
# rpm, useradd, curl, wget, git, pip, npm and Docker.
PASSING='(get|acquire|unable to|cannot|transaction) lock\b|\block(ed)? (is held|by another)|was locked by|dpkg was interrupted'
PASSING+='|temporary failure|name or service not known|(could not|couldn.t|failed to|unable to) (resolve|connect|fetch|download)'
PASSING+='|connection (refused|reset|timed out)|timed out|timeout|unreachable|etimedout|econnre|eai_again|early eof|mismatch'
PASSING+='|bad gateway|service unavailable|too ?many ?requests|error: (429|50[0-9])|not yet valid|not valid yet'

# The fleet's install script is in S3, so it can have any size. Whoever can write to the bucket must not decide what runs.
fetch_install_script() {
  get_object "$INSTALL_OBJECT" "$1" || return
  sha256sum --quiet --check <<<"$INSTALL_SHA256  $1" && return
  say 'the install script is not the one that was deployed'
  return "$REFUSED"
}

run_install_script() {
  local script log tee status=0
  script=$(mktemp -p "$STATE") log=$(mktemp -p "$STATE")
  if persist fetch_install_script "$script"; then
    chmod 0700 "$script"
    await_locks "$BOOT_TIMEOUT_SECONDS" || say 'the locks of the package manager are still held'
    # Not a pipe: its reader would wait for processes that the script leaves running.
    exec 7> >(tee "$log")
    tee=$!
    timeout -k 10 "$BOOT_TIMEOUT_SECONDS" "$script" >&7 2>&1 7>&- || status=$FINAL
    exec 7>&-
    # Its last lines may arrive late.
    [ "$status" -eq 0 ] || timeout 2 tail -s 0.1 --pid="$tee" -f /dev/null || true
    if [ "$status" -ne 0 ] && grep -qiE "$PASSING" "$log"; then status=1; fi
    # apt demands this after an interruption.
    if grep -qs 'dpkg was interrupted' "$log"; then dpkg --configure -a || true; fi
  else
    status=$FINAL
  fi
  rm -f "$script" "$log"
  return "$status"
}

# The image may have been made after the same install script ran.
install_once() {
  local installed="$STATE/installed-$INSTALL_SHA256"
  if [ -e "$installed" ]; then return; fi
  phase 'install script' persist run_install_script
  touch "$installed"
}

# The runner's package, or an image, may have created the task user without a home directory or a shell.
make_task_user() {
  local home
  id circleci >/dev/null 2>&1 || useradd --create-home --shell /bin/bash circleci
  IFS=: read -r _ _ _ _ _ home shell < <(getent passwd circleci)
  case $shell in */nologin | */false | '') usermod --shell /bin/bash circleci ;; esac
  if [ "$(stat --format=%U "$home" 2>/dev/null)" != circleci ]; then
    usermod --home /home/circleci circleci
    [ -d /home/circleci ] || cp -r /etc/skel /home/circleci
    chown -R circleci: /home/circleci
  fi
}

# A warm start, or an image of such an instance, does not repeat this.
prepare() {
  local version="$INSTALL_OBJECT $RUNNER_VERSION $DOCKER $LOG_GROUP_NAME"
  if [ "$(cat "$STATE/prepared" 2>/dev/null)" = "$version" ] && has_runner && command -v nft >/dev/null; then return; fi
  if [ -d "${ROOT:-}/etc/apt/apt.conf.d" ]; then
    # For the jobs as well: wait for a lock, but not for a dead mirror.
    printf '%s;\n' 'DPkg::Lock::Timeout "180"' 'Acquire::Retries "3"' 'Acquire::http::Timeout "20"' \
      >"${ROOT:-}/etc/apt/apt.conf.d/99-autoscaler"
  fi
  # First, because the install script may pull images.
  [ "$DOCKER" != true ] || phase 'docker' persist "$LIB/docker"
  [ -z "$INSTALL_OBJECT" ] || install_once
  install_runner
  # The package's own unit would start the runner again after its task.
  if systemctl cat circleci-runner.service >/dev/null 2>&1; then
    systemctl mask --now circleci-runner.service 2>/dev/null || systemctl disable --now circleci-runner.service
  fi
  command -v nft >/dev/null || phase 'nftables' persist install_packages nftables
  make_task_user
  [ "$DOCKER" != true ] || usermod --append --groups docker circleci
  [ -z "$LOG_GROUP_NAME" ] || phase 'logs agent' timeout -k 10 120 "$LIB/ship-logs" install ||
    say 'no logs in CloudWatch: see above'
  echo "$version" >"$STATE/prepared"
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
  python3 -c '
import json, re, sys
token = json.load(sys.stdin).get("SecretString", "").strip()
if not re.fullmatch(r"[\w.~+/=:-]+", token):
    sys.exit("the runner secret must be the resource class token")
print(token)' <<<"$answer" || return "$FINAL"
}

# The shell itself writes the token, so no command line shows it.
configure() {
  local token ssh=''
  token=$(persist read_token)
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
  sleep 3
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

late=false
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
if marked started; then fail 'rebooted after its runner had started'; fi
if [[ $state != Warmed:* ]]; then
  limit_age
  # An unfinished boot has used a part of the hook's time.
  if marked begun; then late=true; fi
  mark begun
fi
[ -z "${http_proxy-}" ] || phase 'proxy' "$LIB/proxy"
prepare
if [ "$state" != InService ]; then
  phase 'wait for InService' await_in_service
  limit_age
  begin_time
fi
# After hibernation, an instance has its old memory but empty disks.
[ "$WORKING_DIRECTORY" != instance-store ] || phase 'instance store' "$LIB/instance-store"
phase configuration configure
phase 'runner start' start_runner
say "the runner is up $(cut -d ' ' -f 1 /proc/uptime) s after the kernel"
follow
