"""The features that a model reads: those of its table, or some of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase

from pydantic import model_validator

from camoe.contracts.features import FeatureSet
from camoe.contracts.shown.suggestions import suggestion
from camoe.contracts.slots import SafeName


class ModelFeatures(FeatureSet):
    """The features of a table; a model reads the columns of all but those that are left out.

    All stay declared, and the hash of the schema is the table's, so any of its models goes with any of its rows.
    """

    without: tuple[SafeName, ...] = ()
    """Features that the model does not read, in the order in which they are declared."""

    def reads(self, name: str) -> bool:
        """Return whether the model reads the feature."""
        return name not in self.without

    def same_as(self, other: ModelFeatures) -> bool:
        """Return whether models of both read the same columns of the same table."""
        return self.schema_hash() == other.schema_hash() and self.columns == other.columns

    @classmethod
    def of(cls, features: FeatureSet, only: Sequence[str] | None = None, without: Sequence[str] = ()) -> ModelFeatures:
        """Return the `features` that one of the patterns `only` names (None: all), and none of `without`.

        Raises:
            ValueError: a pattern names no feature, no feature is left, or one that is left shares the vocabulary of one
                that is not.
        """
        names = {item.name: {item.name} for item in features.declared}
        for item in features.history.features if features.history else ():
            names[item.name].add(f"history.{item.name}")
        kept = set(names) if only is None else _named(only, names)
        kept -= _named(without, names)
        declared = {name: getattr(features, name) for name in FeatureSet.model_fields}
        return cls.model_validate({**declared, "without": [name for name in names if name not in kept]})

    @model_validator(mode="after")
    def _reads_some(self) -> ModelFeatures:
        if not self.declared:
            raise ValueError("no feature is left for the model to read")
        for item in self.sequences:
            if item.vocabulary is not None and not self.reads(item.vocabulary):
                raise ValueError(
                    f"sequence '{item.name}' shares the vocabulary and the embeddings of '{item.vocabulary}', which is "
                    "left out; leave out both, or none"
                )
        return self


def as_model_features(features: FeatureSet) -> ModelFeatures:
    """Return features of which nothing says that some are left out as those of a model that reads all."""
    return features if isinstance(features, ModelFeatures) else ModelFeatures.of(features)


def _named(patterns: Sequence[str], names: Mapping[str, Collection[str]]) -> set[str]:
    found = set[str]()
    for pattern in patterns:
        own = {name for name, known in names.items() if any(fnmatchcase(one, pattern) for one in known)}
        if not own:
            raise ValueError(f"'{pattern}' names no feature; {suggestion(pattern, names)}")
        found |= own
    return found
