#!/usr/bin/env bash
# Calls an AWS API as this instance, with nothing installed but curl and python3:
#   aws-call SERVICE < a curl configuration with the request's headers and data
# The instance's credentials reach curl by its configuration on standard input, so no command line shows them.
set -euo pipefail
: "${AWS_REGION:?}"
service=$1
here=$(dirname "$0")
endpoint=${AWS_ENDPOINT_URL:-https://$service.$AWS_REGION.amazonaws.com}
role=$("$here/instance-metadata" iam/security-credentials/)
credentials=$("$here/instance-metadata" "iam/security-credentials/$role" | python3 -c '
import json, sys
c = json.load(sys.stdin)
print("user = \"%s:%s\"" % (c["AccessKeyId"], c["SecretAccessKey"]))
print("header = \"x-amz-security-token: %s\"" % c["Token"])
')
{
  printf '%s\n' "$credentials"
  cat
} | curl -sS --fail-with-body --max-time 20 --aws-sigv4 "aws:amz:$AWS_REGION:$service" --config - "$endpoint/"
