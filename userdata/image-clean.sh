#!/usr/bin/env bash
# Removes what belongs to the machine from which an image is made, or would be old in the image. EC2 Image Builder removes
# more before it takes the snapshot, such as SSH keys and the logs of its own steps.
set -euo pipefail

# Each boot writes its own scripts and settings.
rm -rf /opt/autoscaler /etc/autoscaler
if command -v apt-get >/dev/null; then
  apt-get clean
  rm -rf /var/lib/apt/lists/*
fi
! command -v dnf >/dev/null || dnf clean all >/dev/null
rm -f /root/.bash_history /home/*/.bash_history
# An instance of the image gets its own.
! command -v cloud-init >/dev/null || cloud-init clean --logs --seed
: >/etc/machine-id
# Debian has a copy, from which systemd would take the same id again.
[ ! -e /var/lib/dbus/machine-id ] || ln -sf /etc/machine-id /var/lib/dbus/machine-id
sync
