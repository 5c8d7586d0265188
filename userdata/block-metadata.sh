#!/usr/bin/env bash
# Keeps jobs from the instance's metadata, and so from its role: their user reaches IMDS by neither IPv4 nor IPv6.
set -euo pipefail
[ "$ALLOW_INSTANCE_METADATA" != true ] || exit 0

# Declared before it is deleted, so that a second run replaces it.
nft -f - <<'RULES'
table inet circleci_autoscaler
delete table inet circleci_autoscaler
table inet circleci_autoscaler {
  chain output {
    type filter hook output priority 0;
    meta skuid circleci ip daddr 169.254.169.254 reject
    meta skuid circleci ip6 daddr fd00:ec2::254 reject
  }
}
RULES
