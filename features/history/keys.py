"""Key sets as columns, and the layout of what is counted by them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, MapType, StructType, VariantType

from camoe.contracts.errors import ConfigError
from camoe.contracts.history import IMPRESSION, History
from camoe.contracts.sequences import SequenceFeature
from camoe.contracts.sources import Objective
from features.spark.expressions import columns_read, resolve
from features.spark.keys import as_text

WHERE = "the history"
# Whose rows a key's counts are, where it rests on the user; null where it does not.
OWNER = "owner"
NESTED = (ArrayType, MapType, StructType, VariantType)
MICROSECONDS = 1_000_000


@dataclass(frozen=True)
class Layout:
    """What is counted by every key: `lags_s` by stream, an impression's own (0) and that of each objective.

    Counts are those of impressions, then per objective of its known labels and of the positive ones among them; times
    are those of the last impression and of the last positive one per objective. `sequences` are those from the log.
    """

    history: History
    lags_s: Mapping[str, int]
    sequences: tuple[SequenceFeature, ...] = ()

    @classmethod
    def of(
        cls, history: History, objectives: Mapping[str, Objective], sequences: tuple[SequenceFeature, ...] = ()
    ) -> Layout:
        """Return the layout of `history`, the `objectives` of which say when their labels mature."""
        lags = {name: objectives[name].matures_s for name in history.objectives}
        return cls(history, {IMPRESSION: 0, **lags}, sequences)

    @property
    def key_sets(self) -> tuple[str, ...]:
        """Names of the key sets, each at its place, whatever the order in which they are declared."""
        return tuple(sorted(self.history.keys))

    @property
    def streams(self) -> tuple[str, ...]:
        """The impression's own and the objectives."""
        return tuple(self.lags_s)

    @property
    def counts(self) -> tuple[str, ...]:
        """Names of the counts."""
        return (f"n_{IMPRESSION}", *(f"{kind}_{name}" for name in self.history.objectives for kind in "np"))

    @property
    def times(self) -> tuple[str, ...]:
        """Names of the times of the last impression and the last positives, in microseconds."""
        return tuple(f"t_{name}" for name in self.streams)

    @property
    def lag_days(self) -> int:
        """Days after its own on which an impression can count, at most."""
        return -(-max(self.lags_s.values()) // 86400) + 1

    @property
    def width(self) -> int:
        """Numbers that an impression gets from one key set: the counts of each window, then the times."""
        return len(self.history.windows) * len(self.counts) + len(self.times)

    def place_of_count(self, key: str, name: str, window: int) -> int:
        """Return the place of a count among all numbers of an impression."""
        return self._first(key) + window * len(self.counts) + self.counts.index(name)

    def place_of_time(self, key: str, stream: str) -> int:
        """Return the place of a time among all numbers of an impression."""
        return self._first(key) + len(self.history.windows) * len(self.counts) + self.streams.index(stream)

    def lag_s_of(self, sequence: SequenceFeature) -> int:
        """Return the seconds after an impression from which on it is an element of `sequence`."""
        return self.lags_s[sequence.objective or IMPRESSION]

    def _first(self, key: str) -> int:
        return self.key_sets.index(key) * self.width


def key_column(name: str) -> str:
    """Name the helper column of a key set's hash."""
    return f"_key_{name}"


def value_column(sequence: SequenceFeature) -> str:
    """Name the helper column of the value that an impression adds to a sequence."""
    return f"_value_{sequence.name}"


def key_columns(visible: DataFrame, history: History) -> dict[str, Column]:
    """Return each key set as a number: XXH64 over its name and the texts of its values; null where one is null.

    Two keys of a set share a number with a chance of 2**-64; among a billion keys any two do with one of 3 %.

    Raises:
        ConfigError: an expression is none over the columns of `visible`, or gives no plain value.
    """
    found: dict[str, Column] = {}
    for name, key in history.keys.items():
        named = {f"{name}.{place}": sql for place, sql in enumerate(key.by)}
        columns = resolve(visible, named, WHERE, ConfigError)
        kinds = visible.select(*columns.values()).schema
        texts = [_text(column, kinds[place].dataType, named) for place, column in columns.items()]
        digest = F.xxhash64(F.lit(name), *texts)
        whole = F.lit(True)
        for text in texts:
            whole = whole & text.isNotNull()
        found[key_column(name)] = F.when(whole, digest)
    return {name: column.alias(name) for name, column in found.items()}


def owned_keys(visible: DataFrame, history: History) -> tuple[str, ...]:
    """Return the key sets whose expressions read the user."""
    return tuple(
        name
        for name, key in history.keys.items()
        if "user_id" in columns_read(visible, {str(place): sql for place, sql in enumerate(key.by)})
    )


def value_columns(visible: DataFrame, sequences: Collection[SequenceFeature]) -> dict[str, Column]:
    """Return the text that each impression adds to each of the sequences from the log.

    Raises:
        ConfigError: the SQL is none over the columns of `visible`, or gives no plain value.
    """
    columns = resolve(visible, {value_column(item): item.sql for item in sequences}, WHERE, ConfigError)
    kinds = visible.select(*columns.values()).schema
    for item in sequences:
        kind = kinds[value_column(item)].dataType
        if isinstance(kind, NESTED):
            raise ConfigError(
                f"{WHERE}: sequence '{item.name}: {item.sql}' is {kind.simpleString()}; with a key it is a plain value"
            )
    return {name: column.cast("string").alias(name) for name, column in columns.items()}


def _text(value: Column, kind: DataType, named: Mapping[str, str]) -> Column:
    if isinstance(kind, NESTED):
        raise ConfigError(
            f"{WHERE}: one of {', '.join(named.values())} is {kind.simpleString()}; a key is a plain value"
        )
    return as_text(value, kind)
