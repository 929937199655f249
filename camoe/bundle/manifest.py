"""The manifest: a bundle's account of itself, and the check that its files are those written. Torch-free."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import StringConstraints, ValidationError

from camoe.contracts import hashing
from camoe.contracts.config_file import Section
from camoe.contracts.errors import BundleError
from camoe.contracts.files import write_json
from camoe.model.spec import ModelSpec

MANIFEST = "manifest.json"
SPEC = "model.json"
WEIGHTS = "weights.safetensors"
METRICS = "metrics.json"
CARD = "card.md"
CONFIG = "config.json"
CALIBRATION = "calibration.json"
ENCODER = "encoder"
# The embedding table: its name among the weights, and in every head's graph; in an ensemble what its members' end with.
TABLE = "embedding.table.weight"
# Inputs and output of every head's graph; `SEQUENCES` only of a model that has some.
CATEGORICAL = "categorical"
NUMERIC = "numeric"
SEQUENCES = "sequences"
PROBABILITY = "p"
CHANGED = "is not the file that training wrote"


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


def graph_name(head: str) -> str:
    """Name the ONNX graph of a head in the bundle: beside the weights, for no graph may name data above it."""
    return f"head-{head}.onnx"


def identity(files: Mapping[str, str]) -> str:
    """Return the version of a model whose bundle has `files`: a hash of all of them that change a prediction."""
    telling = sorted(f"{name} {digest}" for name, digest in files.items() if name not in {METRICS, CONFIG, CARD})
    return hashing.short_hash("\n".join(telling), digits=12)


def file_hashes(folder: Path) -> dict[str, str]:
    """Hash every file of the bundle at `folder` but its manifest: SHA-256 by relative path."""
    return {name: digest for name, digest in hashing.file_hashes(folder).items() if name != MANIFEST}


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest; the last step of making a bundle."""
    write_json(folder / MANIFEST, manifest.model_dump(mode="json"))


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of the bundle at `folder`. Raises `BundleError` when it is missing or damaged."""
    if not (folder / MANIFEST).is_file():
        raise BundleError(f"no model bundle at {folder}; run jobs/train.py first")
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except ValidationError as error:
        raise BundleError(f"{folder / MANIFEST} is damaged ({error.error_count()} errors); train again") from None


@dataclass(frozen=True)
class Bundle:
    """A bundle all of whose files are those that training wrote, at the folder that a link to it named."""

    folder: Path
    manifest: Manifest
    spec: ModelSpec

    def read(self, name: str) -> bytes:
        """Read a file. Raises `BundleError` unless it still is the one that was checked."""
        return read_part(self.folder, self.manifest, name)


def open_bundle(folder: Path) -> Bundle:
    """Open the bundle at `folder` after checking every file.

    Raises:
        BundleError: there is no bundle, a file is missing or changed, or the specification cannot be read.
    """
    at = folder.resolve()
    manifest = read_manifest(at)
    wrong = hashing.changed_files(at, manifest.files)
    if wrong:
        raise broken(at, wrong[0], CHANGED if (at / wrong[0]).is_file() else "is missing")
    _require_listed(at, manifest, [SPEC])
    try:
        spec = ModelSpec.model_validate_json(read_part(at, manifest, SPEC))
    except ValidationError as error:
        raise BundleError(f"{at / SPEC} was written by another version ({error.error_count()} fields)") from None
    graphs = [graph_name(head.name) for head in spec.heads.heads]
    encoder = f"{ENCODER}/v{manifest.encoder_version}/encoder.json"
    _require_listed(at, manifest, [WEIGHTS, CALIBRATION, encoder, *graphs])
    return Bundle(at, manifest, spec)


def read_part(folder: Path, manifest: Manifest, name: str) -> bytes:
    """Read a file of the bundle at `folder`. Raises `BundleError` unless it is the one that `manifest` lists."""
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise broken(folder, name, f"cannot be read ({error.strerror})") from None
    if hashlib.sha256(content).hexdigest() != manifest.files[name]:
        raise broken(folder, name, CHANGED)
    return content


def _require_listed(folder: Path, manifest: Manifest, parts: Sequence[str]) -> None:
    unlisted = [name for name in parts if name not in manifest.files]
    if unlisted:
        raise broken(folder, unlisted[0], f"is not listed in its {MANIFEST}")


def broken(folder: Path, name: str, how: str) -> BundleError:
    """Return the error that the file `name` of the bundle at `folder` is at fault."""
    return BundleError(f"the model bundle at {folder} is broken: {name} {how}; train again or restore it")
