"""The encoder: versioned, append-only vocabularies that turn category values into indices.

On disk `encoder/v<N>/` holds `encoder.json` and `vocabulary.parquet` (feature, value, index). A refit adds entries
and never renumbers, so rows written with an older version stay valid. A version belongs to a range of training days:
values that other days brought in, and these do not have often enough, are hidden from its models.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from camoe.contracts.errors import CamoeError
from camoe.contracts.features import Categorical, FeatureSet
from camoe.contracts.files import atomic_folder, is_whole, local_folder, whole_folders, write_json
from camoe.contracts.hashing import short_hash
from camoe.contracts.sequences import SequenceFeature

MISSING = 0
UNKNOWN = 1
FIRST = 2
NO_WEIGHTS: Mapping[str, float] = MappingProxyType({})
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

    Hashed features have no vocabulary here: what they need is in the feature set. `days` are the first and the last
    training day that the version is fitted on, None where that is not known. `hidden`: indices, by feature that has
    some, that are unknown to a model of these days. `weights`: by which the rates of the history are
    smoothed, by feature; once fitted, one never changes.
    """

    version: int
    values: Mapping[str, tuple[str, ...]]
    days: tuple[date, date] | None = None
    hidden: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)

    def size(self, feature: str) -> int:
        """Return the rows that an embedding of `feature` needs, the two reserved ones included."""
        return FIRST + len(self.values[feature])

    def sizes(self) -> dict[str, int]:
        """Return `size` of every feature."""
        return {feature: self.size(feature) for feature in self.values}

    def shown(self, feature: str) -> tuple[str, ...]:
        """Return the values that a model knows, in the order of their indices."""
        hidden = frozenset(self.hidden.get(feature, ()))
        return tuple(value for index, value in enumerate(self.values[feature], FIRST) if index not in hidden)

    def as_known_by(self, older: Encoder) -> Encoder:
        """Return the encoder without the values that `older` lacks: no row that it wrote has one of them."""
        values = {name: known[: len(older.values.get(name, ()))] for name, known in self.values.items()}
        kept = {
            name: tuple(index for index in indices if index < FIRST + len(values[name]))
            for name, indices in self.hidden.items()
        }
        return replace(self, values=values, hidden={name: indices for name, indices in kept.items() if indices})

    def column_hidden(self, features: FeatureSet) -> dict[str, tuple[int, ...]]:
        """Return the hidden indices of each of the features' `embedded_columns` that has some."""
        found = {column: self.hidden.get(made.name, ()) for column, made in self._makers(features).items()}
        return {column: indices for column, indices in found.items() if indices}

    def column_sizes(self, features: FeatureSet) -> dict[str, int]:
        """Return the rows that the embedding of each of the features' `embedded_columns` needs, in their order."""
        return {column: self._rows(made) for column, made in self._makers(features).items()}

    def _makers(self, features: FeatureSet) -> dict[str, Categorical | SequenceFeature]:
        categorical = {column: feature for feature in features.categoricals for column in feature.columns}
        sequences = {column.name: item for item in features.sequences for column in features.columns_of(item)}
        made: dict[str, Categorical | SequenceFeature] = {**categorical, **sequences}
        return {column: made[column] for column in features.embedded_columns}

    def _rows(self, feature: Categorical | SequenceFeature) -> int:
        return self.size(feature.name) if feature.hashing is None else FIRST + feature.hashing.buckets

    def content_hash(self) -> str:
        """Return the `short_hash` of all vocabularies, of what is hidden in them, and of the weights."""
        values = {name: list(values) for name, values in sorted(self.values.items())}
        hidden = {name: list(indices) for name, indices in sorted(self.hidden.items())}
        made = [values, hidden, dict(sorted(self.weights.items()))] if self.weights else [values, hidden]
        return short_hash(json.dumps(made if hidden or self.weights else values))

    def continues(self, older: Encoder) -> bool:
        """Return whether every index and weight of `older` still means the same here."""
        same = all(self.weights.get(name) == weight for name, weight in older.weights.items())
        return same and all(self.values.get(name, ())[: len(values)] == values for name, values in older.values.items())

    def grow(
        self,
        fitted: Mapping[str, Sequence[str]],
        days: tuple[date, date] | None = None,
        weights: Mapping[str, float] = NO_WEIGHTS,
    ) -> Encoder:
        """Return the next version, which belongs to `days`, on which the `fitted` values were seen.

        Known values keep their index, new ones are appended in the order given, and those that are not among the
        fitted ones are hidden. Known weights stay. Returns self when nothing is new. Features absent from `fitted` are
        kept.
        """
        grown = dict(self.values)
        kept = self.hidden if days in (None, self.days) else {}
        hidden = {feature: indices for feature, indices in kept.items() if feature not in fitted}
        for feature, values in fitted.items():
            known, seen_now = self.values.get(feature, ()), frozenset(values)
            seen = frozenset(known)
            grown[feature] = (*known, *(value for value in values if value not in seen))
            unseen = tuple(index for index, value in enumerate(known, FIRST) if value not in seen_now)
            if unseen:
                hidden[feature] = unseen
        same = replace(self, values=grown, days=days or self.days, hidden=hidden) if fitted else self
        same = replace(same, weights={**weights, **self.weights})
        return self if same == self else replace(same, version=self.version + 1)


EMPTY = Encoder(0, {})


def latest_version(folder: Path) -> int:
    """Return the newest complete version under `folder`, 0 when there is none."""
    versions = [int(path.name[1:]) for path in whole_folders(folder, "v*") if path.name[1:].isdigit()]
    return max(versions, default=0)


def latest_weights(folder: Path) -> Mapping[str, float]:
    """Return the weights of the newest version; none where there is no version. Raises `EncoderError` as `read`."""
    return read(folder).weights if latest_version(folder) else {}


def append_version(
    fitted: Mapping[str, Sequence[str]],
    folder: Path,
    days: tuple[date, date] | None = None,
    weights: Mapping[str, float] = NO_WEIGHTS,
) -> Encoder:
    """Grow the newest version by the values `fitted` on `days` and by `weights`; publish that, unless nothing is new.

    When another run takes the version meanwhile, this one grows from what that run published.

    Raises:
        EncoderError: that run fitted other weights than those by which this one has smoothed its rates.
    """
    while True:
        known = latest_version(folder)
        grown = (read(folder, known) if known else EMPTY).grow(fitted, days, weights)
        if any(grown.weights[name] != weight for name, weight in weights.items()):
            raise EncoderError(f"another run fitted other weights of the history in {folder} meanwhile; run again")
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
    if is_whole(target):
        _require_same(encoder, target)
        return target
    try:
        with atomic_folder(target, folder / f".staging-v{encoder.version}-{secrets.token_hex(4)}") as staging:
            _fill(staging, encoder)
    except OSError:
        # A rename onto a folder that is not empty fails: another run was faster.
        if not is_whole(target):
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
    told = {
        "version": encoder.version,
        "hash": encoder.content_hash(),
        "sizes": encoder.sizes(),
        "days": [day.isoformat() for day in encoder.days or ()],
        "hidden": encoder.hidden,
    }
    write_json(folder / "encoder.json", told | ({"weights": dict(encoder.weights)} if encoder.weights else {}))


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


def read_fitted_on(folder: Path, days: tuple[date, date], older: Encoder) -> Encoder:
    """Read the newest version that is fitted on `days`, without the values that `older`, which wrote the rows, lacks.

    It is `older` itself where no version says on which days it is fitted, as those of before did not.

    Raises:
        EncoderError: there is none, or it is damaged.
    """
    told = False
    for version in range(latest_version(folder), 0, -1):
        path = folder / f"v{version}"
        fitted_on = _range(_manifest(path).get("days", ())) if is_whole(path) else None
        if fitted_on == days:
            return read_version(path).as_known_by(older)
        told = told or fitted_on is not None
    if not told:
        return older
    raise EncoderError(
        f"no encoder at {folder} is fitted on the training days {days[0]} to {days[1]}, so that one would know values "
        "of later days, or lack some; run jobs/build_features.py with this configuration and --days of any day: it "
        "fits one from the counts of days that are built"
    )


def _range(days: Sequence[str]) -> tuple[date, date] | None:
    return (date.fromisoformat(days[0]), date.fromisoformat(days[1])) if days else None


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((local_folder(folder) / "encoder.json").read_bytes())
    except (ValueError, OSError) as error:
        raise EncoderError(f"the encoder at {folder} is damaged ({error}); {REMEDY}") from None
    return found


def read_version(folder: Path) -> Encoder:
    """Read one version's own folder. Raises `EncoderError` as `read` does."""
    if not is_whole(folder):
        raise EncoderError(f"no encoder at {folder}; run jobs/build_features.py first")
    manifest = _manifest(folder)
    try:
        table = pq.read_table(local_folder(folder) / "vocabulary.parquet")
        values: dict[str, list[str]] = {feature: [] for feature in manifest["sizes"]}
        for feature, value in zip(table["feature"].to_pylist(), table["value"].to_pylist(), strict=True):
            values[feature].append(value)
        encoder = Encoder(
            manifest["version"],
            {feature: tuple(items) for feature, items in values.items()},
            _range(manifest.get("days", ())),
            {feature: tuple(indices) for feature, indices in manifest.get("hidden", {}).items()},
            manifest.get("weights", {}),
        )
        written = manifest["hash"]
    except (ValueError, OSError, KeyError) as error:
        raise EncoderError(f"the encoder at {folder} is damaged ({error}); {REMEDY}") from None
    if encoder.content_hash() != written:
        raise EncoderError(f"the vocabulary at {folder} does not match its hash; {REMEDY}")
    return encoder
