#!/usr/bin/env bash
# Turns a fresh instance into a CircleCI runner for one task. Whatever fails, the instance leaves the group:
# an instance that stays without a runner would be protected, paid for and useless.
#
# Inputs, all from the environment: AWS_REGION GROUP_NAME RUNNER_SECRET_NAME CIRCLECI_URL
# IDLE_TIMEOUT_SECONDS MAX_RUN_TIME_SECONDS. LIB is where the other scripts of this folder are, and `install`,
# the adopter's own.
set -Eeuo pipefail

: "${AWS_REGION:?}" "${GROUP_NAME:?}" "${RUNNER_SECRET_NAME:?}" "${CIRCLECI_URL:?}"
: "${IDLE_TIMEOUT_SECONDS:?}" "${MAX_RUN_TIME_SECONDS:?}"
LIB=${LIB:-/usr/local/lib/circleci-runner-autoscaler}
CONFIG=${CONFIG:-/etc/circleci-runner-autoscaler}
STATE=${STATE:-/var/lib/circleci-runner-autoscaler}
UNITS=${UNITS:-/etc/systemd/system}

trap 'echo "boot failed in line $LINENO: leaving the group"; "$LIB/leave-group"' ERR

# More than this and the launch waits in vain; each attempt is bounded as well.
retry() {
  local attempt
  for attempt in 1 2 3; do
    timeout 300 "$@" && return 0
    echo "attempt $attempt failed: $1"
    sleep $((attempt * 5))
  done
  return 1
}

phase() {
  echo "boot: $1, $SECONDS s after the start"
}

install_runner() {
  # The vendor's unit would restart the runner after its task; ours ends with the instance.
  systemctl mask circleci-runner.service
  local script=/tmp/circleci-runner-repository.sh
  if command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    retry curl -fsSL --max-time 60 -o "$script" 'https://packagecloud.io/install/repositories/circleci/runner/script.deb.sh?any=true'
    retry bash "$script"
    retry apt-get install -y circleci-runner
  else
    retry curl -fsSL --max-time 60 -o "$script" 'https://packagecloud.io/install/repositories/circleci/runner/script.rpm.sh?any=true'
    retry bash "$script"
    retry dnf install -y circleci-runner
  fi
}

write_config() {
  local instance_id token
  instance_id=$("$LIB/instance-metadata" instance-id)
  token=$("$LIB/read-secret" "$RUNNER_SECRET_NAME")
  install -d -m 0700 "$CONFIG"
  install -d -m 0755 "$STATE" "$STATE/agent"
  install -d -o circleci -m 0750 "$STATE/work"
  # Written by the shell itself, so that the token is on no command line.
  (
    umask 077
    cat >"$CONFIG/runner.yaml" <<CONFIGURATION
api:
  auth_token: "$token"
  url: "$CIRCLECI_URL"
runner:
  name: "$instance_id"
  mode: single-task
  idle_timeout: ${IDLE_TIMEOUT_SECONDS}s
  max_run_time: ${MAX_RUN_TIME_SECONDS}s
  working_directory: $STATE/work
  cleanup_working_directory: true
  task_agent_directory: $STATE/agent
  command_prefix: ["sudo", "-niHu", "circleci", "--"]
logging:
  format: json
CONFIGURATION
  )
}

write_unit() {
  cat >"$UNITS/circleci-runner-autoscaler.service" <<UNIT
[Unit]
Description=CircleCI runner for one task
After=network-online.target
Wants=network-online.target

[Service]
Environment=AWS_REGION=$AWS_REGION GROUP_NAME=$GROUP_NAME
ExecStart=/usr/bin/circleci-runner machine --config $CONFIG/runner.yaml
ExecStopPost=$LIB/leave-group
Restart=no
User=root
# The first TERM lets the running task finish, so stopping may take as long as a task.
TimeoutStopSec=$((MAX_RUN_TIME_SECONDS + 300))
# A starved agent misses its heartbeats, and CircleCI fails the job.
OOMScoreAdjust=-500
CPUWeight=1000
UNIT
  systemctl daemon-reload
}

# A fresh Ubuntu updates itself in the background: apt waits for it instead of failing.
if [ -d /etc/apt/apt.conf.d ]; then
  echo 'DPkg::Lock::Timeout "180";' >/etc/apt/apt.conf.d/99-circleci-runner-autoscaler
fi

phase 'installing what the jobs need'
"$LIB/install"
phase 'installing the runner'
install_runner
phase 'writing the configuration'
write_config
write_unit
phase 'starting the runner'
systemctl start circleci-runner-autoscaler.service
phase 'done'
