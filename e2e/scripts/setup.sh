#!/usr/bin/env bash
# Makes the cluster with OpenBao, PostgreSQL, a client and jwtlet, or brings what is there up to date.
# shellcheck source=e2e/scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need docker kind kubectl helm openssl

# A Secret with a random value, once.
random_secret() {
    local namespace=$1 name=$2 key=$3
    kube --namespace "$namespace" get secret "$name" >/dev/null 2>&1 ||
        kube --namespace "$namespace" create secret generic "$name" --from-literal="$key=$(openssl rand -hex 24)"
}

cluster_exists || kind create cluster --name "$cluster" --config "$e2e/kind.yaml" --wait 120s
kind load docker-image "$image" --name "$cluster"

kube apply --filename "$e2e/manifests/namespaces.yaml"
random_secret vault openbao token
random_secret database postgresql password
kube apply --filename "$e2e/manifests"
kube --namespace vault rollout status statefulset/openbao --timeout 180s
kube --namespace database rollout status statefulset/postgresql --timeout 180s
kube --namespace e2e wait pod/client --for condition=Ready --timeout 180s

# Vault: the key, the least policy, and the login of jwtlet's service account.
bao secrets list | grep --quiet '^transit/' || bao secrets enable transit
bao read transit/keys/signing-jwtlet_pc >/dev/null 2>&1 || bao write -f transit/keys/signing-jwtlet_pc type=ed25519
bao auth list | grep --quiet '^kubernetes/' || bao auth enable kubernetes
bao write auth/kubernetes/config kubernetes_host=https://kubernetes.default.svc
kube --namespace vault exec --stdin openbao-0 -- \
    env BAO_ADDR=http://127.0.0.1:8200 BAO_TOKEN="$(bao_token)" bao policy write jwtlet - <"$e2e/vault/policy.hcl"
bao write auth/kubernetes/role/jwtlet bound_service_account_names=jwtlet bound_service_account_namespaces=jwtlet \
    token_policies=jwtlet token_ttl=1h

password=$(kube --namespace database get secret postgresql --output jsonpath='{.data.password}' | base64 --decode)
kube --namespace jwtlet create secret generic jwtlet-postgresql --dry-run=client --output yaml \
    --from-literal=url="postgresql://jwtlet:$password@postgresql.database.svc:5432/jwtlet?sslmode=disable" | kube apply --filename -

helm upgrade jwtlet "$repository/deploy/helm/jwtlet" --install --kube-context "kind-$cluster" --namespace jwtlet \
    --values "$e2e/values.yaml" --wait --timeout 5m
# An image of the same name may be a newer one.
kube --namespace jwtlet rollout restart deployment/jwtlet
kube --namespace jwtlet rollout status deployment/jwtlet --timeout 180s
