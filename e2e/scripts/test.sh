#!/usr/bin/env bash
# Runs the tests against the cluster.
# shellcheck source=e2e/scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need kubectl cargo
cluster_exists || {
    echo "there is no cluster $cluster: make setup" >&2
    exit 1
}

in_client="kubectl --context kind-$cluster --namespace e2e exec client --"
export JWTLET_E2E_EXCHANGE_URL="http://127.0.0.1:$exchange_port"
export JWTLET_E2E_MANAGEMENT_URL="http://127.0.0.1:$management_port"
export JWTLET_E2E_ISSUER=http://jwtlet.jwtlet.svc.cluster.local:8080
export JWTLET_E2E_CLUSTER_ISSUER=https://kubernetes.default.svc.cluster.local
export JWTLET_E2E_AUDIENCE=e2e
export JWTLET_E2E_CLIENT=system:serviceaccount:e2e:client
export JWTLET_E2E_INSTALLED_CONTEXT=installed
export JWTLET_E2E_SUBJECT_TOKEN_COMMAND="$in_client cat /var/run/secrets/jwtlet/exchange-token"
export JWTLET_E2E_FOREIGN_TOKEN_COMMAND="$in_client cat /var/run/secrets/jwtlet/foreign-token"
export JWTLET_E2E_MANAGEMENT_TOKEN_COMMAND="kubectl --context kind-$cluster --namespace e2e create token admin --audience jwtlet-management"
export JWTLET_E2E_RESTART_COMMAND="$e2e/scripts/restart.sh"
export JWTLET_E2E_ROTATE_COMMAND="$e2e/scripts/rotate.sh"
export JWTLET_E2E_RETIRE_COMMAND="$e2e/scripts/retire.sh"

exec cargo run --quiet --locked --manifest-path "$repository/Cargo.toml" --package jwtlet-e2e
