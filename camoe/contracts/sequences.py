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
    """Indices by hashing in place of a vocabulary: one int column a seed, each with `buckets` rows of its own.

    Two values that share a bucket under one seed rarely do under the other, so the pair tells them apart.
    """

    buckets: int = Field(ge=2, le=2**30)
    seeds: tuple[Seed, ...] = Field(default=(1, 2), min_length=1)

    @model_validator(mode="after")
    def _different_seeds(self) -> Hashing:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("hashing seeds must differ: equal ones give the same column twice")
        return self


class SequenceFeature(Section):
    """An array of up to `max_length` indices, which the model pools into one embedding.

    `sql` gives an array of plain values or, with `separator`, text that is cut at it. Elements that are null, or empty
    after a cut, are left out; of what remains, the `last` or the `first` elements are kept. A null is the empty
    sequence, whose embedding is zero.

    With `key`, a key set of the history, `sql` gives one plain value, and the sequence is the last values of the
    impressions that the key had before, as the history knows them, the newest last: of the positives of `objective`, or
    of all; known on the day of the impression less the history's delay or `within` so many days before it (default: the
    history's horizon). `age`: with a second column, log1p of the seconds from each element to the impression.

    `vocabulary`: the categorical whose indices and embeddings the elements share, hashed or not. Without it they have
    their own, as a categorical has them: `min_count` counts elements that are kept.

    `pooling`: the mean or the sum of the elements' embeddings; `decayed`, their mean with weights `exp(-age / tau)`,
    tau being `decay_s` seconds; or `attention`, their sum with weights that rest on the row's own value of the
    `vocabulary`. Both settings are the model's alone and can change without a rebuild.
    """

    name: SafeName
    sql: str
    separator: str | None = Field(default=None, min_length=1)
    vocabulary: SafeName | None = None
    min_count: int = Field(default=1, ge=1)
    hashing: Hashing | None = None
    # A row of the stream is as wide as the longest sequence that is declared.
    max_length: int = Field(ge=1, le=4096)
    keep: Literal["last", "first"] = "last"
    key: SafeName | None = None
    objective: SafeName | None = None
    within: WindowName | None = None
    age: bool = False
    pooling: Pooling = "mean"
    decay_s: float | None = Field(default=None, gt=0)

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
