# shellcheck shell=bash
# What a machine needs before it can be a runner: Docker, what the install script installs, the runner, nftables, the task
# user and the agent of the logs. A boot does it, and so does the build of an image, which is a boot that ends there.

# Packages and needrestart must not ask questions or restart services.
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l NEEDRESTART_SUSPEND=1

# phase NAME COMMAND...: runs a command and logs its duration
phase() {
  local start moment=0
  hundredths
  start=$moment
  "${@:2}"
  hundredths
  say "$1: $((10 * (moment - start))) ms"
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

is_prepared() {
  wanted="$INSTALL_OBJECT $RUNNER_VERSION $DOCKER ${LOG_GROUP_NAME:+logs}"
  [ "$(cat "$STATE/prepared" 2>/dev/null)" = "$wanted" ] && has_runner && command -v nft >/dev/null
}

# A warm start, or an image of such an instance, does not repeat this.
prepare() {
  if is_prepared; then return; fi
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
  echo "$wanted" >"$STATE/prepared"
}
