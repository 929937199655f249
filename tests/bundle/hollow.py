"""Bundles whose files are whole, and hold nothing that a model would be made of."""

from __future__ import annotations

from pathlib import Path

from camoe.bundle import manifest as names
from camoe.bundle.manifest import Manifest
from camoe.bundle.versions import new_version
from tests.bundle.manifest import MANIFEST
from tests.model.specs import HEADS, SPEC


def write_hollow(folder: Path, weights: bytes = b"1") -> Path:
    """Write a bundle whose files are whole, and hold nothing that a model would be made of."""
    encoder = folder / names.ENCODER / f"v{MANIFEST.encoder_version}"
    encoder.mkdir(parents=True)
    (encoder / "encoder.json").write_text("{}")
    (folder / names.SPEC).write_text(SPEC.model_dump_json())
    for name in (names.CALIBRATION, names.METRICS, *(names.graph_name(head.name) for head in HEADS.heads)):
        (folder / name).write_text("{}")
    (folder / names.WEIGHTS).write_bytes(weights)
    files = names.file_hashes(folder)
    manifest = MANIFEST.model_copy(update={"files": files, "model_version": names.identity(files)})
    names.write_manifest(folder, manifest)
    return folder


def write_version(link: Path, number: int, keep: int = 2) -> Manifest:
    """Write what looks like the bundle of a model of its own for each number."""
    with new_version(link, keep) as folder:
        write_hollow(folder, str(number).encode())
        return names.read_manifest(folder)
