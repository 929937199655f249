"""The feature schema: which columns the model reads, how each is made and treated."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal

from pydantic import Field, model_validator

from camoe.contracts.config_file import Section
from camoe.contracts.slots import SafeName

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


class Categorical(Section):
    """An int column of vocabulary indices, or of hash buckets.

    `sql` sees the impression's mapped columns, `local_ts` (the event time in the declared zone), and each entity as a
    struct of its mapped columns plus `age_s`, its age at the impression.

    `min_count`: a value enters the vocabulary once the training days have it so often; rarer ones read as unknown.
    With `hashing` there is no vocabulary, and every value has a bucket.
    """

    name: SafeName
    sql: str
    min_count: int = Field(default=1, ge=1)
    hashing: Hashing | None = None

    @model_validator(mode="after")
    def _one_way_to_an_index(self) -> Categorical:
        if self.hashing is not None and self.min_count > 1:
            raise ValueError("min_count has no meaning with hashing; leave one of them out")
        return self

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
    values below x, centred and of unit variance. A missing value stands at the centre; `missing_indicator`: whether the
    model is also told that it is missing. Neither shapes the table: they can change without a rebuild.
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
        columns = self.categorical_columns
        twice = sorted({name for name in columns if columns.count(name) > 1})
        if twice:
            raise ValueError(f"two features make the column {', '.join(twice)}; rename one of them")
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
        """Identity of the table's feature columns: names, SQL, hashing, and their order.

        The table, the bundle and the scorer must agree on it. It leaves out what the model alone does with a column
        (transform, missing_indicator), and min_count, which only decides how early a value enters the vocabulary:
        another min_count never changes what an index means, as a refit does not.
        """
        made = {
            "categorical": [item.model_dump(mode="json", exclude={"min_count"}) for item in self.categorical],
            "numeric": [item.model_dump(mode="json", include={"name", "sql"}) for item in self.numeric],
        }
        return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()[:16]
