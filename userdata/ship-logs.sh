#!/usr/bin/env bash
# Sends the journal of the runner's units to CloudWatch Logs with Amazon's agent: `install` installs it, `start` starts
# it, and without an argument it does both. The agent is installed before a job runs, so that it does not hold apt's lock
# during a job.
set -euo pipefail
. "$(dirname "$0")/packages.sh"
agent=/opt/aws/amazon-cloudwatch-agent
config=/etc/autoscaler/logs.json
# The fingerprint of the key that signs the agent:
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/verify-CloudWatch-Agent-Package-Signature.html
key=${AGENT_KEY:-937616F3450B7D806CBD9725D58167303B789C72}

if [ "${1:-}" != start ] && [ ! -e "$agent" ]; then
  if command -v apt-get >/dev/null; then
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    cd "$folder"
    url=${AGENT_URL:-https://amazoncloudwatch-agent.s3.amazonaws.com}
    package=amazon-cloudwatch-agent.deb
    for file in $package $package.sig; do
      curl -fsSL --retry 3 -m 120 -o "$file" "$url/ubuntu/$(dpkg --print-architecture)/latest/$file"
    done
    # Without its armour, which gpgv does not read.
    curl -fsSL --retry 3 -m 60 "$url/assets/amazon-cloudwatch-agent.gpg" | tr -d '\r' |
      sed '1,/^$/d; /^[=-]/,$d' | base64 -d >keyring
    # Whoever can publish another key has another fingerprint.
    if ! gpgv --keyring ./keyring --status-fd 1 $package.sig $package 2>/dev/null | grep -q "VALIDSIG .* $key\$"; then
      echo "ship-logs: $package is not signed by Amazon's key $key" >&2
      exit 1
    fi
    await_locks 60
    timeout 300 apt-get install -qy ./$package
  else
    await_locks 60
    timeout 300 dnf install -qy amazon-cloudwatch-agent
  fi
fi
if [ "${1:-}" = install ] || [ -e "$config" ]; then exit 0; fi

# shellcheck disable=SC2016 # The inner shell's.
systemd-run --unit=autoscaler-logs sh -c \
  'exec journalctl --follow --lines=all --output=cat "--unit=autoscaler-*" >>/var/log/autoscaler.log'
cat >"$config" <<CONFIGURATION
{
  "agent": { "run_as_user": "root" },
  "logs": {
    "force_flush_interval": 1,
    "logs_collected": { "files": { "collect_list": [ {
      "file_path": "/var/log/autoscaler.log",
      "log_group_name": "$LOG_GROUP_NAME",
      "log_stream_name": "{instance_id}"
    } ] } }
  }
}
CONFIGURATION
"$agent/bin/amazon-cloudwatch-agent-ctl" -a fetch-config -m ec2 -s -c "file:$config"
