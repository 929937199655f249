"""The feature schema: which columns the model reads, how each is made and treated."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from camoe.contracts.config_file import Section
from camoe.contracts.slots import SafeName


class Categorical(Section):
    """An int column of vocabulary indices.

    `sql` sees the impression's mapped columns, `local_ts` (the event time in the declared zone), and each entity as a
    struct of its mapped columns plus `age_s`, its age at the impression.
    """

    name: SafeName
    sql: str
    min_count: int = Field(default=1, ge=1)

    @property
    def column(self) -> str:
        """Name in the training table."""
        return f"cat_{self.name}"


class Numeric(Section):
    """A raw float column; `transform` is applied in the model before standardising."""

    name: SafeName
    sql: str
    transform: Literal["identity", "log1p"] = "identity"

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
        return tuple(feature.column for feature in self.categorical)

    @property
    def numeric_columns(self) -> tuple[str, ...]:
        """Training-table columns of the numerics, float32, null where unknown."""
        return tuple(feature.column for feature in self.numeric)

    def schema_hash(self) -> str:
        """Identity of the columns and of how they are made; the table, the bundle and the scorer must agree on it."""
        return self.content_hash()
