# shellcheck shell=bash
# What the scripts share. To be sourced.
set -euo pipefail

e2e=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
repository=$(cd "$e2e/.." && pwd)
cluster=${JWTLET_E2E_CLUSTER:-jwtlet-e2e}
image=jwtlet:e2e
# Where kind.yaml puts the two node ports.
exchange_port=18080
management_port=18081
export e2e repository image exchange_port management_port

need() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || {
            echo "$program is missing: e2e/README.md says what is needed" >&2
            exit 1
        }
    done
}

cluster_exists() {
    kind get clusters 2>/dev/null | grep --quiet --line-regexp "$cluster"
}

# Never the cluster that happens to be current.
kube() {
    kubectl --context "kind-$cluster" "$@"
}

bao() {
    kube --namespace vault exec openbao-0 -- env BAO_ADDR=http://127.0.0.1:8200 BAO_TOKEN="$(bao_token)" bao "$@"
}

bao_token() {
    kube --namespace vault get secret openbao --output jsonpath='{.data.token}' | base64 --decode
}
