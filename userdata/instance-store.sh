#!/usr/bin/env bash
# Mounts the disks of the instance itself as one file system, for the working directory. The disks are empty at the first
# boot and after each stop. If anything goes wrong, the working directory stays on the root volume: a runner with a slower
# disk is better than no runner.
set -euo pipefail
. "$(dirname "$0")/aws.sh"
DISKS=${DISKS:-/dev/disk/by-id}
WORK=${WORK:-/var/lib/autoscaler/work}
LABEL=autoscaler
# The array of several disks.
STRIPED=${STRIPED:-/dev/md/autoscaler}

leave_it() {
  say "the working directory is on the root volume: $*"
  exit 0
}

# The disk has no signature (a file system, a partition table, a member of an array) and is not in use.
is_blank() {
  local signatures users
  signatures=$(wipefs --noheadings "$1") && users=$(lsblk --noheadings --output NAME,MOUNTPOINT "$1") &&
    [ -z "$signatures" ] && [ "$(wc -w <<<"$users")" -eq 1 ]
}

# Succeeds if the disk has the file system that an earlier boot created here.
is_ours() {
  [ "$(blkid --probe --usages filesystem --match-tag LABEL --output value "$1" 2>/dev/null)" = "$LABEL" ]
}

mount_work() {
  mkdir -p "$WORK"
  mount -o noatime "$1" "$WORK" || leave_it "$1 cannot be mounted"
  say "the working directory is on $1"
}

format() {
  # A new disk need not be discarded first; that takes a minute for a large disk.
  if command -v mkfs.ext4 >/dev/null; then
    mkfs.ext4 -q -F -m 0 -E nodiscard -L "$LABEL" "$1"
  else
    mkfs.xfs -q -f -K -L "$LABEL" "$1"
  fi
}

if mountpoint -q "$WORK"; then exit 0; fi

# A disk, and each of its partitions, has several names there.
mapfile -t disks < <(
  for link in "$DISKS"/nvme-Amazon_EC2_NVMe_Instance_Storage_*; do
    case $link in *-part*) ;; *) [ ! -e "$link" ] || readlink -f "$link" ;; esac
  done | sort -u
)
[ "${#disks[@]}" -gt 0 ] || leave_it 'this instance type has no instance store (NVMe)'

blank=()
for disk in "$STRIPED" "${disks[@]}"; do
  if [ ! -e "$disk" ]; then
    continue
  elif is_ours "$disk"; then
    mount_work "$disk"
    exit 0
  elif is_blank "$disk"; then
    blank+=("$disk")
  else
    say "$disk is left alone: it is in use, or holds data"
  fi
done
[ "${#blank[@]}" -gt 0 ] || leave_it 'no disk of the instance store is empty'

device=${blank[0]}
if [ "${#blank[@]}" -gt 1 ]; then
  if ! command -v mdadm >/dev/null; then
    say "only $device of ${#blank[@]} disks is used: there is no mdadm to stripe them"
  elif mdadm --create "$STRIPED" --run --quiet --level=0 --homehost=any --name="$LABEL" \
    --raid-devices="${#blank[@]}" "${blank[@]}"; then
    device=$STRIPED
  else
    leave_it 'its disks cannot be striped'
  fi
fi
format "$device" || leave_it "$device cannot be formatted"
mount_work "$device"
