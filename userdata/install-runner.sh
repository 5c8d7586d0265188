#!/usr/bin/env bash
# Installs machine runner 3 from CircleCI's releases. The SHA-256 is the pinned one, or, for the current release, the one in
# CircleCI's manifest. This needs no package manager, so it waits for no lock.
set -euo pipefail
. "$(dirname "$0")/aws.sh"

releases=${RUNNER_RELEASES_URL:-https://circleci-binary-releases.s3.amazonaws.com/circleci-runner}
architecture=amd64
if [ "$(uname -m)" = aarch64 ]; then architecture=arm64; fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# download URL FILE SECONDS
download() {
  local code
  code=$(curl -sSL -m "$3" -o "$2" -w '%{http_code}' "$1")
  if [ "$code" = 200 ]; then return; fi
  say "$1: HTTP status $code"
  # S3 answers 403 if the object does not exist.
  case $code in 403 | 404) exit "$REFUSED" ;; *) exit 1 ;; esac
}

if [ -n "$RUNNER_VERSION" ]; then
  url=$releases/$RUNNER_VERSION/circleci-runner_linux_$architecture.tar.gz sha256=$RUNNER_SHA256
else
  download "$releases/manifest.json" manifest.json 60
  release=$(python3 -c '
import json, sys
release = json.load(open("manifest.json"))["releases"]["current"]["linux"][sys.argv[1]]
print(release["url"], release["sha256"])' "$architecture")
  read -r url sha256 <<<"$release"
fi
download "$url" archive 120
if ! sha256sum --check --quiet <<<"$sha256  archive"; then
  # The manifest can be older than the archive for a while. A pinned release does not change.
  [ -z "$RUNNER_VERSION" ] || exit "$FINAL"
  exit 1
fi
tar -xzf archive
install "$(find . -type f -name circleci-runner)" /usr/bin/circleci-runner
