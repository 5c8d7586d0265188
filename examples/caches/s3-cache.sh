#!/usr/bin/env bash
# A cache for jobs, in a bucket of yours. It needs the AWS CLI, and rights on the bucket that CACHE_BUCKET names.
#
#   s3-cache.sh restore KEY FOLDER   unpacks what was saved under the key, if anything was
#   s3-cache.sh save KEY FOLDER      saves the folder under the key, unless something was saved there already
#
# A cache never fails a job: whatever goes wrong is printed, and the exit code is 0. Only a wrong call ends with 2.
set -uo pipefail

if [ $# -ne 3 ] || { [ "$1" != restore ] && [ "$1" != save ]; } || [ -z "${CACHE_BUCKET:-}" ]; then
  printf 'Usage: CACHE_BUCKET=BUCKET %s restore|save KEY FOLDER\n' "$0" >&2
  exit 2
fi
action=$1 key=$2 folder=$3
object="s3://$CACHE_BUCKET/$key.tar.gz"

exists() { aws s3api head-object --bucket "$CACHE_BUCKET" --key "$key.tar.gz" >/dev/null 2>&1; }

archive=$(mktemp)
trap 'rm -f "$archive"' EXIT

if [ "$action" = restore ]; then
  if ! exists; then
    printf 'Cache %s: nothing is saved\n' "$key"
  # The whole archive first: half of one must not be unpacked.
  elif aws s3 cp --only-show-errors "$object" "$archive" && gzip --test "$archive"; then
    mkdir -p "$folder"
    tar --extract --gzip --file "$archive" --directory "$folder" && printf 'Cache %s: restored into %s\n' "$key" "$folder"
  else
    printf 'Cache %s: could not be restored\n' "$key" >&2
  fi
elif [ ! -d "$folder" ]; then
  printf 'Cache %s: %s is no folder, nothing is saved\n' "$key" "$folder" >&2
elif exists; then
  printf 'Cache %s: is saved already\n' "$key"
elif tar --create --gzip --file "$archive" --directory "$folder" . && aws s3 cp --only-show-errors "$archive" "$object"; then
  printf 'Cache %s: saved\n' "$key"
else
  printf 'Cache %s: could not be saved\n' "$key" >&2
fi
exit 0
