#!/bin/sh
# Exchanges the token in the file that is named first for one of the participant context that is named second; prints it.
set -eu
answer=$(curl --silent --show-error --fail-with-body --retry 3 --max-time 10 "$JWTLET_URL/token" \
  --data-urlencode grant_type=urn:ietf:params:oauth:grant-type:token-exchange \
  --data-urlencode subject_token_type=urn:ietf:params:oauth:token-type:jwt \
  --data-urlencode "subject_token@$1" \
  --data-urlencode "resource=$2" \
  --data-urlencode "scope=${3:-}") || { echo "$answer" >&2; exit 1; }
echo "$answer" | sed 's/.*"access_token":"\([^"]*\)".*/\1/'
