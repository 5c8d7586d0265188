#!/usr/bin/env bash
# Runs a task's command as the task user, with the environment and the limits of its login. The task stays in the control
# group of the runner's unit. sudo and su open a session, and systemd ends sessions first when the instance shuts down.
# runuser applies /etc/security/limits.conf and opens no session.
set -euo pipefail

# Reads it as pam_env does: NAME=VALUE, with optional quotes, after an optional `export`.
environment=()
while read -r line || [ -n "$line" ]; do
  line=${line#export }
  if [[ $line =~ ^([A-Za-z_][A-Za-z0-9_]*)=(\"(.*)\"|\'(.*)\'|(.*))$ ]]; then
    environment+=("${BASH_REMATCH[1]}=${BASH_REMATCH[3]}${BASH_REMATCH[4]}${BASH_REMATCH[5]}")
  fi
done < <(cat /etc/environment /etc/default/locale 2>/dev/null)

# shellcheck disable=SC2016 # The login shell's.
exec runuser -u circleci -- setpriv --reset-env -- env "${environment[@]}" bash -lc 'cd && exec "$@"' bash "$@"
