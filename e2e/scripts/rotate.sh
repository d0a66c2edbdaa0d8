#!/usr/bin/env bash
# Makes a new version of the signing key.
# shellcheck source=e2e/scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
bao write -f transit/keys/signing-jwtlet_pc/rotate
