"""The registry in the lake: `models/registry.json`, and beside it a copy of each model's bundle under its version.

A change makes the copy first and then replaces the file, in one step: a process that is killed leaves the registry
before or the one after, and a copy that neither names, which the next change removes. A copy is the registry's own, as
trainings remove old bundles of theirs. In an object store a copy's manifest comes last.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from camoe.bundle.manifest import MANIFEST, open_bundle
from camoe.bundle.published import fetched
from camoe.contracts.files import RemotePath, is_temporary, publish_folder, remove_folder, staged, updated
from camoe.contracts.layout import Layout
from camoe.contracts.places.leases import leased
from camoe.contracts.runs import lock_of
from camoe.registry.record import Registry, RegistryError

FILE = "registry.json"
STAGING = ".staging-"
# Folders of other names are somebody else's.
COPY = re.compile(r"(\.staging-)?[0-9a-f]{12}")


def read_registry(folder: Path) -> Registry:
    """Read the registry in `folder`; an empty one where there is none. Raises `RegistryError` when it is damaged."""
    return _read(folder / FILE, _content(folder / FILE))


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _read(path: Path, content: bytes | None) -> Registry:
    try:
        return Registry() if content is None else Registry.model_validate_json(content)
    except ValidationError as error:
        raise RegistryError(f"{path} is damaged ({error.error_count()} errors); restore it from a backup") from None


def copies(folder: Path, registry: Registry) -> dict[str, Path]:
    """Return the bundles that the `registry` in `folder` keeps, by version."""
    return {version: folder / version for version, model in registry.models.items() if model.kept}


def change(layout: Layout, make: Callable[[Registry], Registry], bundle: Path | None = None) -> Registry:
    """Replace the registry by what `make` gives for it; first copy `bundle` into it, where one is given.

    Raises:
        RegistryError: another process changes it, or it is damaged.
        BundleError: the bundle is not whole.
        CamoeError: what `make` raises; nothing is changed then.
    """
    folder = layout.models
    with leased(lock_of(layout.runs, "the models"), "change of the registry of models", RegistryError):
        found = _content(folder / FILE)
        before = _read(folder / FILE, found)
        _clear(folder, before)
        made = make(before)
        if bundle is not None:
            _copy(bundle, folder)
        updated(folder / FILE, partial(_in_place_of, found, made))
        _clear(folder, made)
    return made


def _in_place_of(before: bytes | None, made: Registry, found: bytes | None) -> str:
    # A lease does not stop a process that was away for so long that another has taken it over.
    if found != before:
        raise RegistryError("another process has changed the registry of models meanwhile; nothing was changed")
    return made.model_dump_json(indent=2) + "\n"


def _copy(bundle: Path, folder: Path) -> None:
    whole = open_bundle(bundle)
    target = folder / whole.manifest.model_version
    if (target / MANIFEST).is_file() if isinstance(target, RemotePath) else target.is_dir():
        open_bundle(fetched(target))
        return
    if isinstance(target, RemotePath):
        for name in (*whole.manifest.files, MANIFEST):
            (target / name).upload(whole.folder / name)
        return
    with staged(folder / f"{STAGING}{target.name}") as staging:
        shutil.copytree(whole.folder, staging, dirs_exist_ok=True)
        open_bundle(staging)
        publish_folder(staging, target)


def _clear(folder: Path, registry: Registry) -> None:
    """Remove copies that the registry does not keep, and what killed changes have left."""
    if isinstance(folder, RemotePath):
        # Those that are named as removed alone: a process that was away for long may know an old registry.
        for version in (version for version, model in registry.models.items() if not model.kept):
            remove_folder(folder / version, MANIFEST)
        return
    if not folder.is_dir():
        return
    kept = {version for version, model in registry.models.items() if model.kept}
    for path in folder.iterdir():
        if path.is_dir() and COPY.fullmatch(path.name) and path.name not in kept:
            shutil.rmtree(path) if path.name.startswith(STAGING) else remove_folder(path, MANIFEST)
        elif is_temporary(path):
            path.unlink()
