"""Checks of the container image, without an engine that could build it.

The Dockerfile is read for what a linter does not know; what scripts/image-root lays out is joined with the libraries that
the base image has, and the programs are run in there, as the user of the image, with nothing else around them.
"""

from __future__ import annotations

import json
import os
import pathlib
import platform
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import tomllib

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]

# The base: Debian 12 with libc6 and libgcc-s1, and no shell.
BASE = "gcr.io/distroless/cc-debian12:nonroot"
BASE_LIBRARIES = {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "libdl.so.2", "libpthread.so.0", "librt.so.1"}
LOADERS = {"x86_64": "ld-linux-x86-64.so.2", "aarch64": "ld-linux-aarch64.so.1"}
# The newest version of a library's symbols that the base has.
BASE_SYMBOLS = {"GLIBC": (2, 36), "GCC": (12, 0)}
USER = "65532:65532"
PROGRAMS = ("jwtlet", "jwtlet-server")
LABELS = {
    f"org.opencontainers.image.{name}"
    for name in ("title", "description", "licenses", "version", "revision", "created", "source", "base.name")
}
FILES = {
    "usr/local/bin/jwtlet": 0o755,
    "usr/local/bin/jwtlet-server": 0o755,
    "usr/share/doc/jwtlet/LICENSE": 0o644,
    "usr/share/sbom/jwtlet.cdx.json": 0o644,
    "usr/share/sbom/jwtlet-server.cdx.json": 0o644,
}


def instructions(text: str) -> list[tuple[str, str]]:
    """Name and arguments of each instruction; comments and continued lines are gone."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    return [(name.upper(), arguments.strip()) for name, _, arguments in (line.strip().partition(" ") for line in joined.splitlines()) if name]


def dockerfile(text: str) -> list[str]:
    """What is wrong with the last stage, which is what is shipped."""
    every = instructions(text)
    last = max((i for i, (name, _) in enumerate(every) if name == "FROM"), default=0)
    stage = every[last:]
    given = dict(stage)
    found = []
    if given.get("FROM") != BASE:
        found.append(f"the base is not {BASE}")
    if given.get("USER") != USER:
        found.append(f"the user is not {USER}, by number")
    for name in ("ENTRYPOINT", "HEALTHCHECK"):
        command = re.search(r"\[.*\]$", given.get(name, ""))
        if command is None or not json.loads(command[0])[0].startswith("/"):
            found.append(f"{name} is not a program with its whole path, started without a shell")
    for name, arguments in stage:
        if name in ("RUN", "ADD", "SHELL", "CMD"):
            found.append(f"{name} in the stage that is shipped")
        if name in ("ARG", "ENV") and re.search(r"token|password|secret|key", arguments, re.IGNORECASE):
            found.append(f"{name} {arguments.split('=')[0]} looks like a secret")
    labels = set(re.findall(r"([a-z0-9.]+)=", " ".join(arguments for name, arguments in stage if name == "LABEL")))
    found += [f"the label {label} is missing" for label in sorted(LABELS - labels)]
    example = tomllib.loads((REPOSITORY / "config.example.toml").read_text())
    ports = {str(example[key]) for key in ("token_exchange_port", "management_port")}
    if set(given.get("EXPOSE", "").split()) != ports:
        found.append(f"it does not expose {sorted(ports)}")
    return found


def admitted(ignored: str, file: str) -> bool:
    """Whether .dockerignore lets a file into the build: the last pattern counts that names it or a directory above it."""
    path = pathlib.PurePosixPath("/", file)
    result = True
    for line in ignored.splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = "/" + line.removeprefix("!").strip("/")
        if any(place.match(pattern) for place in (path, *path.parents[:-1])):
            result = line.startswith("!")
    return result


def context() -> list[pathlib.PurePosixPath]:
    """The files of the repository that reach the build."""
    ignored = (REPOSITORY / ".dockerignore").read_text()
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.split("\0")
    return [pathlib.PurePosixPath(file) for file in listed if file and admitted(ignored, file) and (REPOSITORY / file).is_file()]


def layout(image: pathlib.Path) -> list[str]:
    """What is wrong with what scripts/image-root laid out."""
    root = image / "root"
    files = {str(p.relative_to(root)): stat.S_IMODE(p.lstat().st_mode) for p in root.rglob("*") if not p.is_dir()}
    found = [f"/{name}: mode {mode:o} or not expected" for name, mode in files.items() if FILES.get(name) != mode]
    found += [f"/{name} is missing" for name in FILES.keys() - files.keys()]
    found += [f"{p} can be written to by others" for p in root.rglob("*") if p.is_dir() and p.stat().st_mode & 0o022]
    if list((image / "data").iterdir()):
        found.append("the data directory is not empty")
    return found


def linking(program: pathlib.Path) -> list[str]:
    """What a program needs and the base does not have, and the protections that it lacks."""
    report = subprocess.run(["readelf", "-W", "-h", "-l", "-d", "-V", program], capture_output=True, text=True, check=True).stdout
    needed = set(re.findall(r"\(NEEDED\).*\[(.+?)\]", report))
    found = [f"needs {library}" for library in sorted(needed - BASE_LIBRARIES - set(LOADERS.values()))]
    for library, newest in BASE_SYMBOLS.items():
        versions = [tuple(map(int, v.split("."))) for v in re.findall(rf"Name: {library}_([0-9.]+)", report)]
        found += [f"needs {library} {'.'.join(map(str, v))}" for v in sorted(set(versions)) if v > newest]
    if "RPATH" in report or "RUNPATH" in report:
        found.append("looks for libraries in a place of its own")
    if not re.search(r"Type:\s+DYN", report):
        found.append("is not position-independent")
    if not re.search(r"GNU_RELRO", report) or "BIND_NOW" not in report:
        found.append("its relocations can be written to")
    if not re.search(r"GNU_STACK.* RW ", report):
        found.append("its stack is executable")
    return [f"{program.name} {complaint}" for complaint in found]


def run_alone(image: pathlib.Path) -> list[str]:
    """Runs both programs with only the libraries of the base, as the user of the image, on files that are not theirs."""
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory, "root")
        shutil.copytree(image / "root", root)
        pathlib.Path(directory).chmod(0o755)
        _add_base(root)
        configuration = root / "etc/jwtlet/config/config.toml"
        configuration.parent.mkdir(parents=True)
        shutil.copy(REPOSITORY / "config.example.toml", configuration)
        commands = {
            ("/usr/local/bin/jwtlet-server", "check-config", "/etc/jwtlet/config/config.toml"): 0,
            ("/usr/local/bin/jwtlet-server", "--version"): 0,
            # Nothing runs that could answer.
            ("/usr/local/bin/jwtlet-server", "probe", "/etc/jwtlet/config/config.toml"): 1,
            ("/usr/local/bin/jwtlet", "--version"): 0,
        }
        enter = entrance(root)
        found = []
        for command, status in commands.items():
            result = subprocess.run([*enter, *command], env={}, capture_output=True, text=True, timeout=30, check=False)
            if result.returncode != status:
                found.append(f"{' '.join(command)} ends with {result.returncode}: {result.stderr.strip()}")
        return found


def entrance(root: pathlib.Path) -> list[str]:
    """What runs a program below a directory as the user of the image: needs root, sudo without a password, or a user
    namespace, in which whoever runs this has the number of that user."""
    # They may not be among the programs of every user.
    places = "/usr/sbin:/usr/bin:/sbin:/bin"
    chroot = [shutil.which("chroot", path=places) or "chroot", f"--userspec={USER}", str(root)]
    if os.geteuid() == 0:
        return chroot
    sudo = shutil.which("sudo", path=places)
    if sudo and subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode == 0:
        return [sudo, "-n", "/usr/bin/env", "-i", *chroot]
    user, group = USER.split(":")
    return [shutil.which("unshare", path=places) or "unshare", f"--map-user={user}", f"--map-group={group}", f"--root={root}"]


def _add_base(root: pathlib.Path) -> None:
    loader = LOADERS[platform.machine()]
    known = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    for library in BASE_LIBRARIES | {loader}:
        path = re.search(rf"^\s+{re.escape(library)} \(.*x86-64.*|^\s+{re.escape(library)} \(.*AArch64.*", known, re.MULTILINE)
        if path is None:
            continue
        source = pathlib.Path(path[0].rpartition("=> ")[2])
        target = root / ("lib64" if loader.startswith("ld-linux-x86") and library == loader else "lib") / library
        target.parent.mkdir(exist_ok=True)
        shutil.copy(source.resolve(), target)


def bill(file: pathlib.Path, crate: str, features: list[str]) -> list[str]:
    """Whether a bill of materials names each crate that is linked, in its version, and no other version of it."""
    command = ["cargo", "tree", "--locked", "--offline", "--package", crate, *features]
    command += ["--edges", "normal", "--prefix", "none", "--format", "{p}"]
    tree = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    linked = {tuple(line.split()[:2]) for line in tree.splitlines() if line}
    content = json.loads(file.read_text())
    parts = {(part["name"], f"v{part['version']}") for part in content["components"]}
    subject = content["metadata"]["component"]
    parts.add((subject["name"], f"v{subject['version']}"))
    found = [f"{file.name} lacks {' '.join(part)}" for part in sorted(linked - parts)]
    if content.get("bomFormat") != "CycloneDX":
        found.append(f"{file.name} is not of the format CycloneDX")
    unlicensed = [part["name"] for part in content["components"] if not part.get("licenses")]
    return found + [f"{file.name} has no licence of {name}" for name in unlicensed]


def complaints(image: pathlib.Path) -> list[str]:
    """Everything that is wrong with the Dockerfile and with what was laid out."""
    found = dockerfile((REPOSITORY / "Dockerfile").read_text()) + layout(image)
    if found:
        return found
    for program in PROGRAMS:
        found += linking(image / "root/usr/local/bin" / program)
    bills = image / "root/usr/share/sbom"
    found += bill(bills / "jwtlet-server.cdx.json", "jwtlet-server", ["--no-default-features"])
    found += bill(bills / "jwtlet.cdx.json", "jwtlet-cli", [])
    return found + run_alone(image)


def main() -> int:
    """Checks the directory that is named."""
    found = complaints(pathlib.Path(sys.argv[1]))
    for complaint in found:
        print(f"image: {complaint}", file=sys.stderr)
    print("image: checked" if not found else f"image: {len(found)} complaints")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
