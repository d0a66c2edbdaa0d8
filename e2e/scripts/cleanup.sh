#!/usr/bin/env bash
# Deletes the cluster, if there is one. The image stays.
# shellcheck source=e2e/scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need docker kind
if cluster_exists; then
    kind delete cluster --name "$cluster"
fi
