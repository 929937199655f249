"""Sequences as declared, of an entity or from the log, and hashing, by which they and categoricals may have indices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from camoe.contracts.config_file import Section
from camoe.contracts.history import WindowName
from camoe.contracts.slots import SafeName

Pooling = Literal["mean", "sum", "decayed", "attention"]
# What only the model does with a sequence.
MODELS_OWN = {"pooling", "decay_s"}
# What only a sequence from the log has.
FROM_LOG = {"key", "objective", "within", "age"}
# Spark hashes a seed as a 64-bit integer.
Seed = Annotated[int, Field(ge=-(2**63), lt=2**63)]


class Hashing(Section):
    """Indices by hashing in place of a vocabulary: one int column a seed."""

    buckets: int = Field(ge=2, le=2**30)
    """Buckets of each seed, each with an embedding of its own."""
    seeds: tuple[Seed, ...] = Field(default=(1, 2), min_length=1)
    """Seeds of the hash. Two values that share a bucket under one seed rarely do under the other, so the pair tells
    them apart."""

    @model_validator(mode="after")
    def _different_seeds(self) -> Hashing:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("hashing seeds must differ: equal ones give the same column twice")
        return self


class SequenceFeature(Section):
    """An array of indices, which the model pools into one embedding: of an entity, or with a `key` from the log.

    From the log it is the last values of the impressions that the key had before, as the history knows them, the newest
    last.
    """

    name: SafeName
    """Name of the feature."""
    sql: str
    """Spark SQL of an array of plain values or, with `separator`, of text that is cut at it. Elements that are null, or
    empty after a cut, are left out; a null is the empty sequence, whose embedding is zero. With `key` it gives one
    plain value."""
    separator: str | None = Field(default=None, min_length=1)
    """Text between the elements; null where `sql` gives an array."""
    vocabulary: SafeName | None = None
    """Categorical whose indices and embeddings the elements share, hashed or not. Null: they have their own, as a
    categorical has them."""
    min_count: int = Field(default=1, ge=1)
    """Elements that are kept, on the training days, from which on a value is in a vocabulary of the elements' own."""
    hashing: Hashing | None = None
    """Hashing of elements that have indices of their own; null is a vocabulary."""
    # A row of the stream is as wide as the longest sequence that is declared.
    max_length: int = Field(ge=1, le=4096)
    """Elements that are kept, at most."""
    keep: Literal["last", "first"] = "last"
    """Which elements of a longer array are kept."""
    key: SafeName | None = None
    """Key set of the history whose earlier impressions the elements come from; null where they are an entity's."""
    objective: SafeName | None = None
    """Objective whose positives the elements are, with `key`; null is all impressions."""
    within: WindowName | None = None
    """How far back elements are known, with `key`: so many days (`7d`) before the day of the impression less the
    history's delay; null is the history's horizon."""
    age: bool = False
    """Whether there is a second column, with `key`: log1p of the seconds from each element to the impression."""
    pooling: Pooling = "mean"
    """What the model makes of the elements' embeddings: their `mean` or `sum`; `decayed`, their mean with weights
    `exp(-age / tau)`, tau being `decay_s`; or `attention`, their sum with weights that rest on the row's own value of
    the `vocabulary`. It can change without a rebuild of the table."""
    decay_s: float | None = Field(default=None, gt=0)
    """Seconds of tau of pooling `decayed`. It can change without a rebuild of the table."""

    @model_validator(mode="after")
    def _poolable(self) -> SequenceFeature:
        if self.pooling == "attention" and self.vocabulary is None:
            raise ValueError(f"sequence '{self.name}': attention compares its elements with the row's own `vocabulary`")
        if self.pooling == "decayed" and not (self.age and self.decay_s):
            raise ValueError(f"sequence '{self.name}': pooling decayed needs age: true and decay_s")
        if self.pooling != "decayed" and self.decay_s is not None:
            raise ValueError(f"sequence '{self.name}': decay_s is for pooling decayed")
        return self

    @model_validator(mode="after")
    def _one_way_to_an_index(self) -> SequenceFeature:
        if self.vocabulary is not None and (self.hashing is not None or self.min_count > 1):
            raise ValueError(f"the elements have the indices of '{self.vocabulary}'; leave out min_count and hashing")
        if self.hashing is not None and self.min_count > 1:
            raise ValueError("min_count has no meaning with hashing; leave one of them out")
        return self

    @model_validator(mode="after")
    def _of_an_entity_or_of_the_log(self) -> SequenceFeature:
        if self.key is None and (self.objective or self.within or self.age):
            raise ValueError(f"sequence '{self.name}': objective, within and age need a key, a key set of the history")
        if self.key is not None and (self.separator or self.keep == "first"):
            raise ValueError(f"sequence '{self.name}': with a key, sql gives one value, and the last are kept")
        return self

    @property
    def column(self) -> str:
        """Name of the elements' column; without hashing also the name in the training table."""
        return f"seq_{self.name}"

    @property
    def age_column(self) -> str | None:
        """Name of the column of the elements' ages; None without one."""
        return f"{self.column}_age" if self.age else None


@dataclass(frozen=True)
class SequenceColumn:
    """A column of the training table that holds sequences: an array of at most `length` indices.

    `table`: the column whose embeddings it reads, itself when they are its own. `ages`: the column of its elements'
    ages, log1p of seconds, an array of float32 of the same length; None without one. `decay_s`: tau of pooling decayed.
    """

    name: str
    table: str
    length: int
    pooling: Pooling
    ages: str | None = None
    decay_s: float | None = None


def age_columns(columns: Sequence[SequenceColumn]) -> dict[str, int]:
    """Return the columns of ages that `columns` have, each once, and the ages that one holds at most."""
    return {column.ages: column.length for column in columns if column.ages is not None}
