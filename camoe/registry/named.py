"""Models by name: a version, the folder or address of a bundle, `champion`, or `newest`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from camoe.bundle.manifest import MANIFEST, read_manifest
from camoe.bundle.published import fetched
from camoe.bundle.versions import home, named_by
from camoe.contracts.errors import BundleError
from camoe.contracts.layout import Layout
from camoe.contracts.places.store import is_address
from camoe.registry.record import CHAMPION, RegistryError
from camoe.registry.store import copies, read_registry

NEWEST = "newest"


@dataclass(frozen=True)
class NamedModel:
    """A model's version, and the folder of its bundle where one is known."""

    version: str
    bundle: Path | None

    @property
    def folder(self) -> Path:
        """Folder of the bundle, or of its copy where it lies in a store. Raises `BundleError` when none is known."""
        if self.bundle is None:
            raise BundleError(
                f"no bundle of model {self.version} is known; name its folder, or a version that jobs/models.py lists"
            )
        return fetched(self.bundle)


def named_model(layout: Layout, name: str | None = None) -> NamedModel:
    """Return the model that `name` means: a version, the folder of a bundle, `champion`, or `newest`, `out`'s bundle.

    An address in an object store is the bundle that it serves. Without a name it is the champion of the registry, and
    the newest where there is none yet.

    Raises:
        BundleError: `out` has no bundle, or a manifest is damaged.
        PlaceError: an object store does not give the bundle.
        RegistryError: there is no champion, or the registry is damaged.
    """
    if name is not None and is_address(name):
        folder = fetched(name)
        return NamedModel(read_manifest(folder).model_version, folder)
    registry = read_registry(layout.models)
    kept, champion = copies(layout.models, registry), registry.champion
    if name == CHAMPION and champion is None:
        raise RegistryError("there is no champion yet; jobs/models.py promote makes one")
    if name in {None, CHAMPION} and champion is not None:
        return NamedModel(champion, kept[champion])
    if name in {None, NEWEST} or (Path(str(name)) / MANIFEST).is_file():
        # A training may end meanwhile: its model is another one.
        folder = named_by(layout.bundle) if name in {None, NEWEST} else Path(str(name)).resolve()
        return NamedModel(read_manifest(folder).model_version, folder)
    folders = (manifest.parent for manifest in sorted(home(layout.bundle).glob(f"*/{MANIFEST}")))
    own = [folder for folder in folders if read_manifest(folder).model_version == name]
    return NamedModel(str(name), kept.get(str(name), own[-1] if own else None))


def shadows(layout: Layout) -> tuple[NamedModel, ...]:
    """Return the models that are scored beside the champion."""
    registry = read_registry(layout.models)
    return tuple(NamedModel(version, layout.models / version) for version in registry.shadows)


def scoring_it(layout: Layout) -> str:
    """Return the option with which scoring takes the newest bundle of `out`; nothing where it does so by itself."""
    champion = read_registry(layout.models).champion
    return "" if champion in {None, read_manifest(named_by(layout.bundle)).model_version} else f" --model {NEWEST}"
