"""Checks of rendered manifests, without a cluster.

A manifest is a list of resources. Each check gives back its complaints, one sentence each; none means good.
"""

from __future__ import annotations

import collections.abc
import re
import sys
import tomllib

import schemas
import yaml

Complaints = collections.abc.Iterator[str]

# The server finishes what runs within this time when it is told to stop.
DRAIN_SECONDS = 30

# Names of keys that hold a secret, in the configuration or in a variable.
SECRET_WORDS = ("password", "secret", "private_key", "token", "url")


def load(text: str) -> list[dict]:
    """The resources of a YAML stream. A key that is given twice is an error: one of them would be lost."""
    return [document for document in yaml.load_all(text, Loader=_Loader) if document is not None]


def complaints(resources: list[dict]) -> list[str]:
    """Everything that is wrong with these resources."""
    if not resources:
        return ["there is no resource"]
    checks = (schema, restricted, secrets, termination, review_rights, selectors)
    return [
        f"{resource.get('kind')}/{resource.get('metadata', {}).get('name')}: {complaint}"
        for resource in resources
        for check in checks
        for complaint in check(resource, resources)
    ]


def schema(resource: dict, _: list[dict]) -> Complaints:
    try:
        validators = schemas.validators(resource)
    except (KeyError, schemas.UnknownKind) as error:
        yield f"cannot be validated: {error}"
        return
    for version, validator in validators.items():
        for error in validator.iter_errors(resource):
            yield f"{version}: {error.json_path}: {error.message[:300]}"


def restricted(resource: dict, _: list[dict]) -> Complaints:
    """The Pod Security Standard "restricted", and a root filesystem that nobody writes to."""
    pod = pod_of(resource)
    if pod is None:
        return
    context = pod.get("securityContext", {})
    if context.get("runAsNonRoot") is not True or not context.get("runAsUser", 0) > 0:
        yield "the pod may run as root"
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "the pod has no seccomp profile"
    for member in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(member):
            yield f"{member} is set"
    allowed = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
    for volume in pod.get("volumes", []):
        for kind in volume.keys() - {"name"} - allowed:
            yield f"the volume {volume['name']} is a {kind}"
    for container in containers(pod):
        for complaint in _restricted_container(container):
            yield f"container {container['name']}: {complaint}"


def _restricted_container(container: dict) -> Complaints:
    context = container.get("securityContext", {})
    if context.get("allowPrivilegeEscalation") is not False:
        yield "it may gain privileges"
    if context.get("readOnlyRootFilesystem") is not True:
        yield "its root filesystem can be written to"
    capabilities = context.get("capabilities", {})
    if capabilities.get("drop") != ["ALL"] or capabilities.get("add"):
        yield "it has capabilities"
    if context.get("privileged") or context.get("runAsUser") == 0 or context.get("runAsNonRoot") is False:
        yield "it is privileged"
    if any("hostPort" in port for port in container.get("ports", [])):
        yield "it takes a port of the node"
    if not container.get("resources", {}).get("requests") or not container["resources"].get("limits", {}).get("memory"):
        yield "it has no requests, or no limit for memory"


def secrets(resource: dict, _: list[dict]) -> Complaints:
    """Secrets are in Secrets only, and the chart makes none."""
    if resource["kind"] == "Secret":
        yield "a Secret is made from values"
    if resource["kind"] == "ConfigMap":
        for name, text in resource.get("data", {}).items():
            for line in text.splitlines():
                key, _, value = line.partition("=")
                if _is_credential(key.strip().strip('"'), value):
                    yield f"{name} holds a credential under {key.strip()}"
    for container in containers(pod_of(resource) or {}):
        for variable in container.get("env", []):
            if "value" in variable and _is_credential(variable["name"], variable["value"]):
                yield f"the variable {variable['name']} holds a credential"


def _is_credential(key: str, value: str) -> bool:
    name = key.lower().replace("-", "_")
    if "://" in value and "@" in value.split("://", 1)[1].split("/", 1)[0]:
        return True
    return name in SECRET_WORDS[:-1] or name.endswith(("__token", "__storage_backend__url", "_password"))


def termination(resource: dict, resources: list[dict]) -> Complaints:
    """A pod of the server has time for its delay and for what runs."""
    pod = pod_of(resource)
    if resource["kind"] != "Deployment" or pod is None:
        return
    texts = [other["data"]["config.toml"] for other in resources if "config.toml" in other.get("data", {})]
    delays = [tomllib.loads(text).get("http", {}).get("shutdown_delay", "0s") for text in texts]
    delay = min(map(seconds, delays), default=0)
    period = pod.get("terminationGracePeriodSeconds", 30)
    if delay == 0:
        yield "it stops listening while Services still send it requests"
    elif period < max(map(seconds, delays)) + DRAIN_SECONDS:
        yield f"{period} seconds are too few for a delay of {delay} and {DRAIN_SECONDS} to drain"
    for container in pod["containers"]:
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if "httpGet" not in container.get(probe, {}):
                yield f"it has no {probe} that works without a shell"


def seconds(time: str) -> int:
    """A time as the configuration has it: "1m 30s"."""
    return sum(int(n) * {"h": 3600, "m": 60, "s": 1}[unit] for n, unit in re.findall(r"(\d+) *([hms])", time))


def review_rights(resource: dict, _: list[dict]) -> Complaints:
    """A role grants the creation of TokenReviews, and nothing else."""
    allowed = [{"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}]
    if resource["kind"] in ("ClusterRole", "Role") and resource.get("rules") != allowed:
        yield "it grants more than TokenReviews"


def selectors(resource: dict, resources: list[dict]) -> Complaints:
    """What selects pods finds those of the Deployment, and a port that is named exists."""
    selector = {
        "Service": lambda spec: spec["selector"],
        "PodDisruptionBudget": lambda spec: spec["selector"]["matchLabels"],
        "NetworkPolicy": lambda spec: spec["podSelector"]["matchLabels"],
    }.get(resource["kind"])
    deployments = [other for other in resources if other["kind"] == "Deployment"]
    if selector is None or not deployments:
        return
    wanted = selector(resource["spec"]).items()
    found = [d for d in deployments if wanted <= d["spec"]["template"]["metadata"]["labels"].items()]
    if not found:
        yield "it selects no pod of a Deployment"
    ports = {port["name"] for d in found for c in pod_of(d)["containers"] for port in c.get("ports", [])}
    for port in resource["spec"].get("ports", []):
        if isinstance(port.get("targetPort"), str) and port["targetPort"] not in ports:
            yield f"no container has the port {port['targetPort']}"


def pod_of(resource: dict) -> dict | None:
    """The spec of the pods that this resource makes."""
    if resource["kind"] == "Pod":
        return resource["spec"]
    if resource["kind"] == "CronJob":
        return resource["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return resource.get("spec", {}).get("template", {}).get("spec")


def containers(pod: dict) -> list[dict]:
    return [*pod.get("initContainers", []), *pod.get("containers", [])]


class _Loader(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):
    pass


def _unique_mapping(loader: yaml.Loader, node: yaml.MappingNode) -> dict:
    loader.flatten_mapping(node)
    keys = [loader.construct_object(key) for key, _ in node.value]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        raise yaml.constructor.ConstructorError(None, None, f"given twice: {sorted(twice)}", node.start_mark)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)


def main(files: list[str]) -> int:
    """Checks each file by itself; prints complaints."""
    bad = 0
    for file in files:
        with open(file, encoding="utf-8") as source:
            found = complaints(load(source.read()))
        for complaint in found:
            print(f"{file}: {complaint}", file=sys.stderr)
        bad += bool(found)
    print(f"{len(files)} manifests checked, {bad} bad")
    return 1 if bad or not files else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
