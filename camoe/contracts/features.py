"""The feature schema: which columns the model reads, how each is made and treated."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from camoe.contracts.config_file import Section
from camoe.contracts.slots import SafeName


class Hashing(Section):
    """Indices by hashing in place of a vocabulary: one int column a seed, each with `buckets` rows of its own.

    Two values that share a bucket under one seed rarely do under the other, so the pair tells them apart.
    """

    buckets: int = Field(ge=2)
    seeds: tuple[int, ...] = Field(default=(1, 2), min_length=1)


class Categorical(Section):
    """An int column of vocabulary indices, or of hash buckets.

    `sql` sees the impression's mapped columns, `local_ts` (the event time in the declared zone), and each entity as a
    struct of its mapped columns plus `age_s`, its age at the impression.
    """

    name: SafeName
    sql: str
    min_count: int = Field(default=1, ge=1)
    hashing: Hashing | None = None

    @property
    def column(self) -> str:
        """Name of the value's column; without hashing also the name in the training table."""
        return f"cat_{self.name}"

    @property
    def columns(self) -> tuple[str, ...]:
        """Names in the training table: one, or one a seed."""
        if self.hashing is None:
            return (self.column,)
        return tuple(f"{self.column}_{seed}" for seed in self.hashing.seeds)


class Numeric(Section):
    """A raw float column; what the model makes of it is fitted on the training days and kept in the bundle.

    `transform`: identity and log1p (sign(x) log(1 + |x|)) are standardised, quantile maps to the share of training
    values below x, centred. `missing_indicator`: whether the model is told that a value is missing.
    """

    name: SafeName
    sql: str
    transform: Literal["identity", "log1p", "quantile"] = "identity"
    missing_indicator: bool = True

    @property
    def column(self) -> str:
        """Name in the training table."""
        return f"num_{self.name}"


class FeatureSet(Section):
    """The features, in the order in which the model reads them."""

    categorical: tuple[Categorical, ...] = ()
    numeric: tuple[Numeric, ...] = ()

    @model_validator(mode="after")
    def _some_and_unique(self) -> FeatureSet:
        names = [feature.name for feature in self.categorical] + [feature.name for feature in self.numeric]
        if not names:
            raise ValueError("at least one feature is needed")
        if len(set(names)) < len(names):
            raise ValueError("feature names must be unique")
        return self

    @property
    def categorical_columns(self) -> tuple[str, ...]:
        """Training-table columns of the categoricals, int32."""
        return tuple(column for feature in self.categorical for column in feature.columns)

    @property
    def numeric_columns(self) -> tuple[str, ...]:
        """Training-table columns of the numerics, float32, null where unknown."""
        return tuple(feature.column for feature in self.numeric)

    def schema_hash(self) -> str:
        """Identity of the columns and of how they are made; the table, the bundle and the scorer must agree on it."""
        return self.content_hash()
