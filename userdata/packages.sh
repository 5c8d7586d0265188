# shellcheck shell=bash
# Installs packages with apt or dnf, whichever the image has.

# Returns when nobody holds the locks of apt, dpkg and rpm, or with status 124 after SECONDS. apt-get update and rpm fail
# at once if their lock is held, and an image may update itself while it boots.
await_locks() {
  timeout "$1" python3 -c '
import fcntl, sys
for path in sys.argv[1:]:
    try:
        lock = open(path, "r+")
    except OSError:
        continue
    with lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print("waiting for " + path, file=sys.stderr)
            fcntl.lockf(lock, fcntl.LOCK_EX)
' "${ROOT:-}"/var/lib/{apt/lists/lock,dpkg/lock-frontend,dpkg/lock,rpm/.rpm.lock} \
    "${ROOT:-}"/{var/cache/apt/archives/lock,usr/lib/sysimage/rpm/.rpm.lock}
}

# install_packages NAME...: one attempt
install_packages() {
  await_locks 300
  if command -v apt-get >/dev/null; then
    timeout 300 apt-get update -q && timeout 600 apt-get install -qy --no-install-recommends "$@"
  else
    timeout 600 dnf install -qy "$@"
  fi
}
