"""Models by name: a version, or the folder of a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from camoe.bundle.manifest import MANIFEST, read_manifest
from camoe.contracts.layout import Layout


@dataclass(frozen=True)
class NamedModel:
    """A model's version, and the folder of its bundle where one is known."""

    version: str
    bundle: Path | None


def named_model(layout: Layout, name: str | None = None) -> NamedModel:
    """Return the model that `name` means: the folder of a bundle, or a version; without a name that of `out`'s bundle.

    Raises:
        BundleError: `out` has no bundle, or a manifest is damaged.
    """
    if name is None or (Path(name) / MANIFEST).is_file():
        # A training may end meanwhile: its model is another one.
        folder = (layout.bundle if name is None else Path(name)).resolve()
        return NamedModel(read_manifest(folder).model_version, folder)
    folders = (manifest.parent for manifest in sorted(layout.root.glob(f"bundles/*/{MANIFEST}")))
    own = [folder for folder in folders if read_manifest(folder).model_version == name]
    return NamedModel(name, own[-1] if own else None)
