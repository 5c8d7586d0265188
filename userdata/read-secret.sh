#!/usr/bin/env bash
# Prints the text of a secret: read-secret NAME
set -euo pipefail
name=$1
here=$(dirname "$0")
answer=$("$here/aws-call" secretsmanager <<REQUEST
header = "content-type: application/x-amz-json-1.1"
header = "x-amz-target: secretsmanager.GetSecretValue"
data = "{\"SecretId\": \"$name\"}"
REQUEST
) || {
  # Without the answer's body: it could quote what was read.
  echo "secret $name cannot be read: does it have a value, and may the instance's role read it?" >&2
  exit 1
}
printf '%s' "$answer" | NAME=$name python3 -c '
import json, os, sys
value = json.load(sys.stdin).get("SecretString", "")
if not value:
    sys.exit("secret %s has no value yet: put the resource class token there" % os.environ["NAME"])
print(value, end="")
'
