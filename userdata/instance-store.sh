#!/usr/bin/env bash
# Mounts the disks of the instance itself where the working directory is made, as one file system. They are empty at the
# first boot and whenever the instance was stopped. Whatever is in the way, the working directory stays on the root
# volume: a slower disk is no reason to have no runner.
set -euo pipefail
. "$(dirname "$0")/aws.sh"
DISKS=${DISKS:-/dev/disk/by-id}
WORK=${WORK:-/var/lib/autoscaler/work}
LABEL=autoscaler
# What its disks become, if there are several.
STRIPED=${STRIPED:-/dev/md/autoscaler}

leave_it() {
  say "the working directory is on the root volume: $*"
  exit 0
}

# Neither with a signature (a file system, a partition table, a member of an array) nor in use by anything.
is_blank() {
  local signatures users
  signatures=$(wipefs --noheadings "$1") && users=$(lsblk --noheadings --output NAME,MOUNTPOINT "$1") &&
    [ -z "$signatures" ] && [ "$(wc -w <<<"$users")" -eq 1 ]
}

# Whether it holds the file system that an earlier boot made here.
is_ours() {
  [ "$(blkid --probe --usages filesystem --match-tag LABEL --output value "$1" 2>/dev/null)" = "$LABEL" ]
}

mount_work() {
  mkdir -p "$WORK"
  mount -o noatime "$1" "$WORK" || leave_it "$1 cannot be mounted"
  say "the working directory is on $1"
}

format() {
  # Nothing on a new disk needs to be discarded first, which takes a minute for a large one.
  if command -v mkfs.ext4 >/dev/null; then
    mkfs.ext4 -q -F -m 0 -E nodiscard -L "$LABEL" "$1"
  else
    mkfs.xfs -q -f -K -L "$LABEL" "$1"
  fi
}

if mountpoint -q "$WORK"; then exit 0; fi

# A disk has several names there, and each of its partitions has some.
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
