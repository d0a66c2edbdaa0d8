"""The chart as Helm renders it, and what the server makes of the configuration in it."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import tempfile
import tomllib

import manifests
import yaml

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
CHART = REPOSITORY / "deploy/helm/jwtlet"
VALUE_SETS = sorted((CHART / "ci").glob("*-values.yaml"))

# Keys of the configuration that are secrets, and the values under which a Secret for each is named.
SECRET_KEYS = {
    ("vault", "token"): {"vault": {"auth": "token", "token": {"existingSecret": "vault", "key": "t"}}},
    ("storage_backend", "url"): {"postgresql": {"existingSecret": "database", "key": "u"}},
}


class Refused(Exception):
    """Helm or the server does not accept it."""


def render(values: dict | None = None, file: pathlib.Path | None = None, *options: str) -> list[dict]:
    """The resources of a release `jwtlet` in the namespace `identity`, with further options for helm."""
    command = [os.environ["HELM"], "template", "jwtlet", str(CHART), "--namespace", "identity", "--kube-version", "1.27.0", *options]
    if file:
        command += ["--values", str(file)]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as own:
        if values:
            yaml.safe_dump(values, own)
            own.flush()
            command += ["--values", own.name]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if result.returncode != 0:
        raise Refused(result.stderr)
    return manifests.load(result.stdout)


def one(resources: list[dict], kind: str, name: str = "") -> dict:
    """The only resource of this kind, or the one with this name."""
    found = [r for r in resources if r["kind"] == kind and (not name or r["metadata"]["name"] == name)]
    assert len(found) == 1, f"{len(found)} resources of kind {kind}"
    return found[0]


def configuration(resources: list[dict]) -> tuple[str, dict[str, str | dict]]:
    """The text of the server's configuration, and its variables: a text, or where it comes from."""
    pod = manifests.pod_of(one(resources, "Deployment"))
    container = pod["containers"][0]
    volume = next(volume for volume in pod["volumes"] if volume["name"] == "config")
    text = one(resources, "ConfigMap", volume["configMap"]["name"])["data"]["config.toml"]
    return text, {variable["name"]: variable.get("value", variable.get("valueFrom")) for variable in container["env"]}


def check_config(text: str, variables: dict[str, str | dict]) -> str:
    """What `jwtlet-server check-config` says of it, with an example of each secret."""
    examples = {
        "JWTLET__STORAGE_BACKEND__URL": "postgresql://jwtlet:example@postgres:5432/jwtlet",
        "JWTLET__VAULT__TOKEN": "example",
    }
    environment = {name: value if isinstance(value, str) else examples[name] for name, value in variables.items()}
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(text)
        file.flush()
        command = [os.environ["JWTLET_SERVER_BINARY"], "check-config", file.name]
        result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    if result.returncode != 0:
        raise Refused(result.stderr)
    return result.stdout + result.stderr


def apply_policy(resources: list[dict], name: str) -> tuple[int, str]:
    """Runs the command of the policy job on its documents, with a server that is not there."""
    arguments = manifests.pod_of(one(resources, "Job", name))["containers"][0]["args"]
    with tempfile.TemporaryDirectory() as directory:
        documents = pathlib.Path(directory, "policy")
        documents.mkdir()
        for file, text in one(resources, "ConfigMap", name)["data"].items():
            (documents / file).write_text(text)
        token = pathlib.Path(directory, "token")
        token.write_text("not.a.token")
        arguments = [str(documents) if argument == "/etc/jwtlet/policy" else argument for argument in arguments]
        # The port is discard, on which nothing listens.
        environment = {"JWTLET_SERVER": "http://127.0.0.1:9", "JWTLET_TOKEN_FILE": str(token)}
        command = [os.environ["JWTLET_BINARY"], *arguments]
        result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return result.returncode, result.stderr


def example_in_use() -> dict:
    """The tree of config.example.toml."""
    return tomllib.loads((REPOSITORY / "config.example.toml").read_text())


def example_with_every_key() -> dict:
    """The same with the keys that it only shows, as `# key = value`. They need not go together."""
    table: list[str] = []
    tree: dict = {}
    for line in (REPOSITORY / "config.example.toml").read_text().splitlines():
        line = re.sub(r"^# ?", "", line)
        if header := re.fullmatch(r"\[([a-z0-9_.]+)\]", line):
            table = header[1].split(".")
        elif re.match(r'([a-z0-9_]+|"[^"]+") = \S', line):
            inner = tree
            for key in table:
                inner = inner.setdefault(key, {})
            inner.update(tomllib.loads(line))
    return tree


def leaves(tree: dict, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], object]:
    """Each key with its path."""
    result: dict[tuple[str, ...], object] = {}
    for key, value in tree.items():
        result |= leaves(value, (*path, key)) if isinstance(value, dict) else {(*path, key): value}
    return result
