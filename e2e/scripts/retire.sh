#!/usr/bin/env bash
# Excludes all versions of the signing key but the newest, as for an emergency.
# shellcheck source=e2e/scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
newest=$(bao read -field=latest_version transit/keys/signing-jwtlet_pc)
bao write transit/keys/signing-jwtlet_pc/config "min_decryption_version=$newest"
