"""The registry on disk: `models/registry.json`, and beside it a copy of each model's bundle under its version.

A change makes the copy first and then replaces the file, in one rename: a process that is killed leaves the registry
before or the one after, and a copy that neither names, which the next change removes. A copy is the registry's own, as
trainings remove old bundles of theirs.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from camoe.bundle.manifest import open_bundle
from camoe.contracts.files import is_temporary, publish_folder, remove_folder, staged, write_text
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
    path = folder / FILE
    try:
        return Registry.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Registry()
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
        before = read_registry(folder)
        _clear(folder, before)
        made = make(before)
        if bundle is not None:
            _copy(bundle, folder)
        write_text(folder / FILE, made.model_dump_json(indent=2) + "\n")
        _clear(folder, made)
    return made


def _copy(bundle: Path, folder: Path) -> None:
    whole = open_bundle(bundle)
    target = folder / whole.manifest.model_version
    if target.is_dir():
        open_bundle(target)
        return
    with staged(folder / f"{STAGING}{target.name}") as staging:
        shutil.copytree(whole.folder, staging, dirs_exist_ok=True)
        open_bundle(staging)
        publish_folder(staging, target)


def _clear(folder: Path, registry: Registry) -> None:
    """Remove copies that the registry does not keep, and what killed changes have left."""
    if not folder.is_dir():
        return
    kept = {version for version, model in registry.models.items() if model.kept}
    for path in folder.iterdir():
        if path.is_dir() and COPY.fullmatch(path.name) and path.name not in kept:
            shutil.rmtree(path) if path.name.startswith(STAGING) else remove_folder(path)
        elif is_temporary(path):
            path.unlink()
