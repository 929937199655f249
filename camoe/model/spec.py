"""The specification of a model, besides its weights: enough to build it anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from camoe.config.model import ModelConfig
from camoe.config.model_features import ModelFeatures
from camoe.contracts.config_file import Section
from camoe.contracts.heads import HeadSet
from camoe.contracts.slots import SlotCatalogue


class ModelSpec(Section):
    """Architecture, features, heads and slots; `members` models of it, more than one of which are an `Ensemble`.

    `vocabulary_sizes` holds one embedding size for each of the features' `embedded_columns`, in order; `head_indices`
    the vocabulary's index of each of the heads' `values`; `hidden` by such column the indices that read as unknown.
    `kept_experts`, by member and head, are the numbers of the experts that are used; all where it is empty.
    """

    model: ModelConfig
    features: ModelFeatures
    heads: HeadSet
    slots: SlotCatalogue
    vocabulary_sizes: tuple[int, ...]
    head_indices: tuple[int, ...] = ()
    hidden: Mapping[str, tuple[int, ...]] = Field(default_factory=dict)
    members: int = Field(default=1, ge=1)
    kept_experts: tuple[tuple[tuple[int, ...], ...], ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _of_earlier_versions(cls, given: Any) -> Any:
        """Leave out what earlier versions wrote and what shaped their training only."""
        model = given.get("model") if isinstance(given, Mapping) else None
        if not isinstance(model, Mapping):
            return given
        return {**given, "model": {name: value for name, value in model.items() if name != "gate_dropout"}}

    @property
    def head_column(self) -> int:
        """Position, among the categorical columns, of the one that heads select by; 0 where they select by none."""
        column = self.heads.column
        return 0 if column is None else self.features.categorical_columns.index(f"cat_{column}")

    @property
    def hidden_rows(self) -> tuple[int, ...]:
        """Rows of the joint embedding table that read as unknown."""
        found, start = list[int](), 0
        for column, size in zip(self.features.embedded_columns, self.vocabulary_sizes, strict=True):
            found += [start + index for index in self.hidden.get(column, ())]
            start += size
        return tuple(found)

    @property
    def bottom_width(self) -> int:
        """Width `D` of the shared bottom: an embedding for each categorical and sequence column, the numerics, and the
        declared indicators of missing ones."""
        indicators = sum(feature.missing_indicator for feature in self.features.numerics)
        embeddings = len(self.features.categorical_columns) + len(self.features.sequence_columns)
        return embeddings * self.model.embedding_dim + len(self.features.numerics) + indicators
