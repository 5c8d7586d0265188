#!/usr/bin/env bash
# Takes this instance out of its Auto Scaling group and ends it. The instance is the only one that lowers the
# desired capacity for its own leaving, and it does so exactly once, here.
#
# Inputs: AWS_REGION, GROUP_NAME
set -uo pipefail
: "${AWS_REGION:?}" "${GROUP_NAME:?}"
here=$(dirname "$0")

autoscaling() {
  local parameters=$1
  "$here/aws-call" autoscaling <<REQUEST
header = "content-type: application/x-www-form-urlencoded"
data = "Version=2011-01-01&$parameters"
REQUEST
}

instance_id=$("$here/instance-metadata" instance-id) || instance_id=

terminate() {
  autoscaling "Action=TerminateInstanceInAutoScalingGroup&InstanceId=$instance_id&ShouldDecrementDesiredCapacity=$1"
}

if [ -n "$instance_id" ]; then
  for wait in 1 3 9; do
    terminate true && exit 0
    # At the group's minimum the desired capacity may not fall: the group replaces this instance.
    terminate false && exit 0
    sleep "$wait"
  done
  autoscaling "Action=SetInstanceHealth&InstanceId=$instance_id&HealthStatus=Unhealthy"
fi

echo "group $GROUP_NAME cannot be left: powering off, which terminates the instance"
${POWER_OFF:-systemctl poweroff}
