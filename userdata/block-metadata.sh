#!/usr/bin/env bash
# Blocks jobs from the instance's metadata, and so from its role. Only root and EC2 Instance Connect, which looks up a
# person's key there, can reach IMDS. The rule allows users instead of blocking one, because a job can act as other users:
# with subordinate ids, or through a service that an install script started.
set -euo pipefail
[ "$ALLOW_INSTANCE_METADATA" != true ] || exit 0

allowed=0
if connect=$(id -u ec2-instance-connect 2>/dev/null); then allowed+=", $connect"; fi

# The table is declared before it is deleted, so a second run replaces it.
nft -f - <<RULES
table inet circleci_autoscaler
delete table inet circleci_autoscaler
table inet circleci_autoscaler {
  chain refuse {
    ip daddr 169.254.169.254 reject
    ip6 daddr fd00:ec2::254 reject
  }
  chain output {
    type filter hook output priority 0;
    meta skuid { $allowed } accept
    jump refuse
  }
  # Containers behind a bridge.
  chain forward {
    type filter hook forward priority 0;
    jump refuse
  }
}
RULES
