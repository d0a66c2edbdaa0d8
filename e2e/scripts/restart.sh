#!/usr/bin/env bash
# Replaces all pods of jwtlet, and waits for the new ones.
# shellcheck source=e2e/scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
kube --namespace jwtlet rollout restart deployment/jwtlet
kube --namespace jwtlet rollout status deployment/jwtlet --timeout 180s
