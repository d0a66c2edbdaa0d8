"""The plain manifests of deploy/kustomize/base, made from the chart.

`kustomize.py` writes them, `kustomize.py --check` says whether they are what the chart makes now.
"""

from __future__ import annotations

import sys

import chart
import yaml

BASE = chart.REPOSITORY / "deploy/kustomize/base"
HEADER = "# Made from the chart by scripts/render-kustomize. Change the chart, or patch this in an overlay.\n"


def rendered() -> dict[str, str]:
    """The files by name: the configuration is one of its own, of which kustomize makes the ConfigMap."""
    resources = chart.render(file=chart.REPOSITORY / "deploy/kustomize/values.yaml")
    configuration, _ = chart.configuration(resources)
    name = chart.one(resources, "Deployment")["metadata"]["name"]
    rest = [r for r in resources if (r["kind"], r["metadata"]["name"]) != ("ConfigMap", name)]
    for resource in rest:
        _without_helm(resource)
    files = {f"{kind.lower()}.yaml": [r for r in rest if r["kind"] == kind] for kind in sorted({r["kind"] for r in rest})}
    texts = {file: HEADER + yaml.safe_dump_all(content, sort_keys=False) for file, content in files.items()}
    texts["config.toml"] = HEADER + "# Each key: config.example.toml\n\n" + configuration + "\n"
    return texts


def _without_helm(resource: dict) -> None:
    # An overlay names the namespace.
    resource["metadata"].pop("namespace", None)
    for subject in resource.get("subjects", []):
        subject["namespace"] = "jwtlet"
    template = resource.get("spec", {}).get("template", {}).get("metadata", {})
    for metadata in (resource["metadata"], template):
        for label in ("helm.sh/chart", "app.kubernetes.io/managed-by"):
            metadata.get("labels", {}).pop(label, None)
    # The name of the ConfigMap changes with its content, which replaces the pods as well.
    if template.get("annotations", {}).pop("checksum/config", None) and not template["annotations"]:
        del template["annotations"]


def main() -> int:
    """Writes or compares."""
    wanted = rendered()
    if sys.argv[1:] != ["--check"]:
        for name, text in wanted.items():
            (BASE / name).write_text(text)
        return 0
    kept = {"kustomization.yaml", "namespace.yaml"}
    present = {file.name: file.read_text() for file in BASE.iterdir() if file.name not in kept}
    differing = sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))
    for name in differing:
        print(f"deploy/kustomize/base/{name} is not what the chart makes: run scripts/render-kustomize", file=sys.stderr)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
