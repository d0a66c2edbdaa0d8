"""JSON schemas for the resources that the chart makes: of Kubernetes, and of the operators whose resources it uses.

Both are strict: a field that the schema does not know fails. The API server would drop such a field in silence.
"""

from __future__ import annotations

import functools
import json
import pathlib

import jsonschema
import kubernetes_validate
import referencing

# The oldest release that the chart supports, and the newest that has schemas.
KUBERNETES_VERSIONS = ("1.27.0", "1.37.0")


class UnknownKind(Exception):
    """No schema describes this kind of resource."""


def validators(resource: dict) -> dict[str, jsonschema.protocols.Validator]:
    """A validator for each release of Kubernetes, or the one of the operator that the resource is for."""
    api_version, kind = resource["apiVersion"], resource["kind"]
    custom = _custom_schemas().get((api_version, kind))
    if custom is not None:
        return {api_version: jsonschema.Draft202012Validator(custom)}
    return {version: _kubernetes(version, api_version, kind) for version in KUBERNETES_VERSIONS}


@functools.cache
def _kubernetes(version: str, api_version: str, kind: str) -> jsonschema.protocols.Validator:
    group, _, number = api_version.rpartition("/")
    name = "-".join(filter(None, [kind.lower(), group.split(".")[0], number]))
    file = _directory(version) / f"{name}.json"
    if not file.is_file():
        raise UnknownKind(f"Kubernetes {version} has no {kind} of {api_version}")
    return jsonschema.Draft202012Validator(json.loads(file.read_text()), registry=_definitions(version))


@functools.cache
def _definitions(version: str) -> referencing.Registry:
    contents = json.loads((_directory(version) / "_definitions.json").read_text())
    return referencing.Resource.from_contents(contents) @ referencing.Registry()


def _directory(version: str) -> pathlib.Path:
    package = pathlib.Path(kubernetes_validate.__file__).parent
    return package / "kubernetes-json-schema" / f"v{version}-local-strict"


@functools.cache
def _custom_schemas() -> dict[tuple[str, str], dict]:
    # Only these modules are slow to load.
    from cloudcoil.models.cert_manager import v1 as cert_manager
    from cloudcoil.models.prometheus_operator import v1 as prometheus_operator

    models = [cert_manager.Certificate, prometheus_operator.ServiceMonitor, prometheus_operator.PrometheusRule]
    schemas = {}
    for model in models:
        schema = _strict(model.model_json_schema(by_alias=True))
        api_version, kind = (schema["properties"][key]["default"] for key in ("apiVersion", "kind"))
        schemas[api_version, kind] = schema
    return schemas


def _strict(schema: object) -> object:
    """Objects with named properties have no others, and what is optional is left out rather than null."""
    if isinstance(schema, list):
        return [_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: _strict(value) for key, value in schema.items()}
    choices = [choice for choice in result.pop("anyOf", []) if choice != {"type": "null"}]
    if len(choices) == 1:
        result |= choices[0]
    elif choices:
        result["anyOf"] = choices
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        result.setdefault("additionalProperties", False)
    return result
