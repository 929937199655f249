"""Table versions that a bundle or a checkpoint still needs. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator

from camoe.bundle.manifest import MANIFEST, read_manifest
from camoe.bundle.versions import versions
from camoe.contracts.layout import Layout
from camoe.registry.store import copies, read_registry
from camoe.train.checkpoint.folder import complete
from camoe.train.checkpoint.state import TABLE_VERSION, read_run_state


def needed_versions(layout: Layout) -> Iterator[tuple[int, str]]:
    """Yield (version, for what) of the bundle, those before it, the registry's, and each checkpoint that is there.

    Raises:
        BundleError: a manifest is damaged.
        RegistryError: the registry of models is.
        TrainingError: a checkpoint is damaged: which version it needs is not known then.
    """
    registered = copies(layout.models, read_registry(layout.models)).values()
    # In a store the one that counts lies among the others.
    for bundle in dict.fromkeys((layout.bundle.resolve(), *versions(layout.bundle.absolute()), *registered)):
        if (bundle / MANIFEST).is_file():
            model = read_manifest(bundle)
            yield model.table_version, f"model {model.model_version} was trained on it"
    for checkpoint in complete(layout.checkpoints):
        version = read_run_state(checkpoint).settings.get(TABLE_VERSION)
        if version is not None:
            yield version, f"checkpoint {checkpoint.name} goes on with it"
