"""The manifest: a bundle's account of itself, and the check that its files are those written. Torch-free."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import StringConstraints, ValidationError

from camoe.contracts.config_file import Section
from camoe.contracts.errors import BundleError
from camoe.contracts.files import write_json
from camoe.model.spec import ModelSpec

MANIFEST = "manifest.json"
SPEC = "model.json"
WEIGHTS = "weights.safetensors"
METRICS = "metrics.json"
CARD = "card.md"
ENCODER = "encoder"
# The embedding table: its name among the weights, and in every head's graph.
TABLE = "embedding.table.weight"
# Inputs and output of every head's graph; `SEQUENCES` only of a model that has some.
CATEGORICAL = "categorical"
NUMERIC = "numeric"
SEQUENCES = "sequences"
PROBABILITY = "p"


class Manifest(Section):
    """Origin of a model. `files` maps each other file of the bundle to its SHA-256."""

    model_version: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]
    code_version: str
    table: str
    table_version: int
    snapshot_hash: str
    feature_schema_hash: str
    encoder_version: int
    config_hash: str
    files: Mapping[str, str]


def set_aside(folder: Path) -> Path:
    """Return where the bundle at `folder` lies for the moment in which another takes its place."""
    return folder.with_name(f".{folder.name}-old")


def graph_name(head: str) -> str:
    """Name the ONNX graph of a head in the bundle: beside the weights, for no graph may name data above it."""
    return f"head-{head}.onnx"


def file_hashes(folder: Path) -> dict[str, str]:
    """Hash every file under `folder` but the manifest: SHA-256 by relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    return {str(path.relative_to(folder)): _digest(path) for path in files}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest; the last step of making a bundle."""
    write_json(folder / MANIFEST, manifest.model_dump(mode="json"))


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of the bundle at `folder`. Raises `BundleError` when it is missing or damaged."""
    if not (folder / MANIFEST).is_file():
        before = set_aside(folder)
        if before.exists() and not folder.exists():
            raise BundleError(
                f"no model bundle at {folder}: training ended while it replaced the one before, which is {before}; "
                "move that one back, or go on with jobs/train.py --resume"
            )
        raise BundleError(f"no model bundle at {folder}; run jobs/train.py first")
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except ValidationError as error:
        raise BundleError(f"{folder / MANIFEST} is damaged ({error.error_count()} errors); train again") from None


def open_bundle(folder: Path) -> tuple[Manifest, ModelSpec]:
    """Return the manifest and the model's specification of the bundle at `folder`, after checking every file.

    Raises:
        BundleError: there is no bundle, a file is missing or changed, or the specification cannot be read.
    """
    manifest = read_manifest(folder)
    found = file_hashes(folder)
    wrong = sorted(name for name, digest in manifest.files.items() if found.get(name) != digest)
    if wrong:
        state = "is missing" if wrong[0] not in found else "is not the file that training wrote"
        raise BundleError(f"the model bundle at {folder} is broken: {wrong[0]} {state}; train again or restore it")
    try:
        return manifest, ModelSpec.model_validate_json((folder / SPEC).read_text())
    except ValidationError as error:
        raise BundleError(f"{folder / SPEC} was written by another version ({error.error_count()} fields)") from None
