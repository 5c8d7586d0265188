#!/usr/bin/env bash
# Makes a machine trust the certificate authorities whose certificates are on stdin, as PEM. It replaces those of an earlier
# run. The runner, curl, git and Docker read the machine's list.
set -euo pipefail
root=${ROOT:-}

trust() {
  local folder update name=circleci-runner-authority
  if command -v update-ca-certificates >/dev/null; then
    folder=$root/usr/local/share/ca-certificates update=update-ca-certificates
  elif command -v update-ca-trust >/dev/null; then
    folder=$root/etc/pki/ca-trust/source/anchors update=update-ca-trust
  else
    echo 'this image has no update-ca-certificates and no update-ca-trust: install ca-certificates in the image' >&2
    return 1
  fi
  mkdir -p "$folder"
  rm -f "$folder/$name"-*.crt
  # One certificate a file, because update-ca-certificates leaves out files with more.
  awk -v path="$folder/$name-" '
    /-----BEGIN CERTIFICATE-----/ { count++; inside = 1 }
    inside { print > (path count ".crt") }
    /-----END CERTIFICATE-----/ { inside = 0 }'
  chmod 0644 "$folder/$name"-*.crt
  "$update" >&2
  # It has read the list when it started.
  systemctl try-restart docker.service 2>/dev/null || true
}

trust
