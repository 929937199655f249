"""The encoder: versioned, append-only vocabularies that turn category values into indices.

On disk `encoder/v<N>/` holds `encoder.json` and `vocabulary.parquet` (feature, value, index). A refit adds entries
and never renumbers, so rows written with an older version stay valid.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from camoe.contracts.errors import CamoeError
from camoe.contracts.features import Categorical, FeatureSet, SequenceFeature
from camoe.contracts.files import atomic_folder, write_json
from camoe.contracts.hashing import short_hash

MISSING = 0
UNKNOWN = 1
FIRST = 2
# Building alone does not help: a build grows the newest version, so it reads the damaged one.
REMEDY = (
    "restore that folder, or remove it, so that the version before it counts, and build the days again "
    "that were built with it"
)


class EncoderError(CamoeError):
    """An encoder is missing or damaged."""


class VersionTakenError(EncoderError):
    """Another run published other vocabularies under the same version."""


@dataclass(frozen=True)
class Encoder:
    """Values per feature with a vocabulary, each at index `FIRST + position`; null is `MISSING`, any other `UNKNOWN`.

    Hashed features have no vocabulary here: what they need is in the feature set.
    """

    version: int
    values: Mapping[str, tuple[str, ...]]

    def size(self, feature: str) -> int:
        """Return the rows that an embedding of `feature` needs, the two reserved ones included."""
        return FIRST + len(self.values[feature])

    def sizes(self) -> dict[str, int]:
        """Return `size` of every feature."""
        return {feature: self.size(feature) for feature in self.values}

    def column_sizes(self, features: FeatureSet) -> dict[str, int]:
        """Return the rows that the embedding of each of the features' `embedded_columns` needs, in their order."""
        categorical = {column: feature for feature in features.categorical for column in feature.columns}
        sequences = {column.name: item for item in features.sequence for column in features.columns_of(item)}
        made: dict[str, Categorical | SequenceFeature] = {**categorical, **sequences}
        return {column: self._rows(made[column]) for column in features.embedded_columns}

    def _rows(self, feature: Categorical | SequenceFeature) -> int:
        return self.size(feature.name) if feature.hashing is None else FIRST + feature.hashing.buckets

    def content_hash(self) -> str:
        """Return the `short_hash` of all vocabularies."""
        text = json.dumps({name: list(values) for name, values in sorted(self.values.items())})
        return short_hash(text)

    def continues(self, older: Encoder) -> bool:
        """Return whether every index of `older` still means the same value here."""
        return all(self.values.get(name, ())[: len(values)] == values for name, values in older.values.items())

    def grow(self, fitted: Mapping[str, Sequence[str]]) -> Encoder:
        """Return the next version: known values keep their index, new ones are appended in the order given.

        Returns self when nothing is new. Features absent from `fitted` are kept.
        """
        grown = dict(self.values)
        for feature, values in fitted.items():
            known = self.values.get(feature, ())
            seen = frozenset(known)
            grown[feature] = (*known, *(value for value in values if value not in seen))
        if grown == dict(self.values):
            return self
        return Encoder(self.version + 1, grown)


EMPTY = Encoder(0, {})


def latest_version(folder: Path) -> int:
    """Return the newest complete version under `folder`, 0 when there is none."""
    versions = [int(path.name[1:]) for path in folder.glob("v*") if path.name[1:].isdigit()]
    return max(versions, default=0)


def append_version(fitted: Mapping[str, Sequence[str]], folder: Path) -> Encoder:
    """Grow the newest version by the `fitted` values and publish that; nothing is written when nothing is new.

    When another run takes the version meanwhile, this one grows from what that run published.
    """
    while True:
        known = latest_version(folder)
        grown = (read(folder, known) if known else EMPTY).grow(fitted)
        try:
            write(grown, folder)
        except VersionTakenError:
            continue
        return grown


def write(encoder: Encoder, folder: Path) -> Path:
    """Publish `encoder` as `folder/v<version>` in one rename; a version that is already there is left alone.

    Raises:
        VersionTakenError: it is there with other vocabularies.
    """
    target = folder / f"v{encoder.version}"
    if target.exists():
        _require_same(encoder, target)
        return target
    try:
        with atomic_folder(target, folder / f".staging-v{encoder.version}-{secrets.token_hex(4)}") as staging:
            _fill(staging, encoder)
    except OSError:
        # A rename onto a folder that is not empty fails: another run was faster.
        if not target.exists():
            raise
        _require_same(encoder, target)
    return target


def _fill(folder: Path, encoder: Encoder) -> None:
    rows = [
        (feature, value, FIRST + position)
        for feature, values in encoder.values.items()
        for position, value in enumerate(values)
    ]
    columns = list(zip(*rows, strict=True)) if rows else [(), (), ()]
    schema = pa.schema([("feature", pa.string()), ("value", pa.string()), ("index", pa.int32())])
    pq.write_table(pa.table([list(column) for column in columns], schema=schema), folder / "vocabulary.parquet")
    write_json(
        folder / "encoder.json",
        {"version": encoder.version, "hash": encoder.content_hash(), "sizes": encoder.sizes()},
    )


def _require_same(encoder: Encoder, target: Path) -> None:
    if read_version(target) != encoder:
        raise VersionTakenError(f"{target} holds another encoder, as when two runs publish at once")


def read(folder: Path, version: int | None = None) -> Encoder:
    """Read a version (default: the newest) written by `write`.

    Raises:
        EncoderError: it is missing, or its content does not match its hash.
    """
    chosen = latest_version(folder) if version is None else version
    return read_version(folder / f"v{chosen}")


def read_version(folder: Path) -> Encoder:
    """Read one version's own folder. Raises `EncoderError` as `read` does."""
    if not folder.is_dir():
        raise EncoderError(f"no encoder at {folder}; run jobs/build_features.py first")
    try:
        manifest = json.loads((folder / "encoder.json").read_bytes())
        table = pq.read_table(folder / "vocabulary.parquet")
        values: dict[str, list[str]] = {feature: [] for feature in manifest["sizes"]}
        for feature, value in zip(table["feature"].to_pylist(), table["value"].to_pylist(), strict=True):
            values[feature].append(value)
        encoder = Encoder(manifest["version"], {feature: tuple(items) for feature, items in values.items()})
        written = manifest["hash"]
    except (ValueError, OSError, KeyError) as error:
        raise EncoderError(f"the encoder at {folder} is damaged ({error}); {REMEDY}") from None
    if encoder.content_hash() != written:
        raise EncoderError(f"the vocabulary at {folder} does not match its hash; {REMEDY}")
    return encoder
