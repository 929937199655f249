"""The feature schema: the columns that the model reads, and how each is made and treated."""

from __future__ import annotations

import json
import re
from graphlib import CycleError, TopologicalSorter
from typing import Literal

from pydantic import Field, model_validator

from camoe.contracts.config_file import Section
from camoe.contracts.hashing import short_hash
from camoe.contracts.history import History
from camoe.contracts.schema import target_column
from camoe.contracts.sequences import FROM_LOG, MODELS_OWN, Hashing, SequenceColumn, SequenceFeature
from camoe.contracts.shown.suggestions import suggestion
from camoe.contracts.slots import SafeName

# How the SQL of a numeric names another feature.
NAMED = re.compile(r"(?<![\w.`])features\s*\.\s*`?([A-Za-z0-9][\w-]*)", re.IGNORECASE)


class Categorical(Section):
    """An int column of vocabulary indices, or of hash buckets."""

    name: SafeName
    """Name of the feature."""
    sql: str
    """Spark SQL of its value. It sees the impression's mapped columns, `local_ts` (the event time in the declared
    zone), and each entity as a struct of its mapped columns plus `age_s`, its age at the impression in seconds."""
    min_count: int = Field(default=1, ge=1)
    """Rows of the training days from which on a value is in the vocabulary; rarer ones read as unknown."""
    hashing: Hashing | None = None
    """Indices by hashing in place of a vocabulary: every value has a bucket. Null is a vocabulary."""

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
    """A raw float column; what the model makes of it is fitted on the training days and kept in the bundle."""

    name: SafeName
    """Name of the feature."""
    sql: str
    """Spark SQL of its value. It sees what a categorical's does; or it names other features as `features.<name>` (a
    categorical's text, a numeric's or the history's float), and then sees nothing else."""
    transform: Literal["identity", "log1p", "quantile"] = "identity"
    """What the model reads: identity and log1p (sign(x) log(1 + |x|)) are standardised, quantile maps to the share of
    training values below x, centred and of unit variance. It can change without a rebuild of the table."""
    missing_indicator: bool = True
    """Whether the model is told that a value is missing, which stands at the centre in any case. It can change without
    a rebuild of the table."""

    @property
    def column(self) -> str:
        """Name in the training table."""
        return f"num_{self.name}"

    @property
    def reads(self) -> tuple[str, ...]:
        """Features that its SQL names."""
        return tuple(dict.fromkeys(NAMED.findall(self.sql)))


class Target(Section):
    """A float column beside the features; training may learn from it (`training.teacher`), no model reads it."""

    name: SafeName
    """Name of the target."""
    sql: str
    """Spark SQL of its value. It sees what a categorical's does."""

    @property
    def column(self) -> str:
        """Name in the training table."""
        return target_column(self.name)


class FeatureSet(Section):
    """The features, in the order in which the model reads them. At least one is needed."""

    categorical: tuple[Categorical, ...] = ()
    """Features that have an embedding a value."""
    numeric: tuple[Numeric, ...] = ()
    """Features that are numbers."""
    sequence: tuple[SequenceFeature, ...] = ()
    """Features that are lists of values."""
    history: History | None = None
    """Counts and rates of what came before each impression; null is none."""
    targets: tuple[Target, ...] = ()
    """Columns beside the features that training may learn from."""

    @model_validator(mode="after")
    def _some_and_unique(self) -> FeatureSet:
        every: list[Categorical | Numeric | SequenceFeature] = [*self.categorical, *self._numbers, *self.sequence]
        names = [feature.name for feature in every]
        if not names:
            raise ValueError("at least one feature is needed")
        if len(set(names)) < len(names):
            raise ValueError("feature names must be unique")
        if len({target.name for target in self.targets}) < len(self.targets):
            raise ValueError("names of targets must be unique")
        shared = {item.name: item.vocabulary for item in self.sequence if item.vocabulary is not None}
        known = {feature.name for feature in self.categorical}
        for name, vocabulary in shared.items():
            if vocabulary not in known:
                choose = suggestion(vocabulary, known)
                raise ValueError(f"sequence '{name}': '{vocabulary}' is no categorical feature to share with; {choose}")
        columns = (*self.categorical_columns, *self._sequence_names)
        twice = sorted({name for name in columns if columns.count(name) > 1})
        if twice:
            raise ValueError(f"two features make the column {', '.join(twice)}; rename one of them")
        self._require_order()
        for item in self.from_log:
            self._require_known(item)
        return self

    def _require_known(self, item: SequenceFeature) -> None:
        of, history = f"sequence '{item.name}'", self.history
        if history is None or item.key not in history.keys:
            choose = suggestion(str(item.key), history.keys if history else ())
            raise ValueError(f"{of}: '{item.key}' is no key set of the history; {choose}")
        if not history.keys[item.key].by:
            raise ValueError(f"{of}: the key set '{item.key}' is that of all impressions; give one with expressions")
        if item.objective is not None and item.objective not in history.objectives:
            choose = suggestion(item.objective, history.objectives)
            raise ValueError(f"{of}: '{item.objective}' is no objective of the history; {choose}")
        if item.within is not None and history.days_of(item.within) > history.horizon_days:
            raise ValueError(f"{of}: within={item.within} is longer than horizon_days={history.horizon_days}")

    def _require_order(self) -> None:
        known = {feature.name for feature in self.categorical} | {feature.name for feature in self._numbers}
        for feature in self.numeric:
            unknown = [name for name in feature.reads if name not in known]
            if unknown:
                choose = suggestion(unknown[0], known - {feature.name})
                raise ValueError(
                    f"numeric '{feature.name}' names features.{unknown[0]}, which is no other number or text; {choose}"
                )
        try:
            TopologicalSorter({item.name: item.reads for item in self.numeric}).prepare()
        except CycleError as error:
            raise ValueError(f"numerics name each other in a circle: {' -> '.join(error.args[1])}") from None

    def reads(self, name: str) -> bool:
        """Return whether the feature is read: each is, but where a model leaves some out."""
        return True

    @property
    def declared(self) -> tuple[Categorical | Numeric | SequenceFeature, ...]:
        """All features that are read: categorical ones, numerics, sequences."""
        return (*self.categoricals, *self.numerics, *self.sequences)

    @property
    def categoricals(self) -> tuple[Categorical, ...]:
        """The categoricals that are read."""
        return tuple(item for item in self.categorical if self.reads(item.name))

    @property
    def sequences(self) -> tuple[SequenceFeature, ...]:
        """The sequences that are read."""
        return tuple(item for item in self.sequence if self.reads(item.name))

    @property
    def numerics(self) -> tuple[Numeric, ...]:
        """The numerics that are read: those that are declared one by one, then those of the history."""
        return tuple(item for item in self._numbers if self.reads(item.name))

    @property
    def _numbers(self) -> tuple[Numeric, ...]:
        made = () if self.history is None else self.history.features
        past = (Numeric(name=item.name, sql=f"history.{item.name}", transform=item.transform) for item in made)
        return (*self.numeric, *past)

    @property
    def derived(self) -> tuple[Numeric, ...]:
        """The numerics whose SQL names other features, each after those that it names."""
        by_name = {item.name: item for item in self.numeric if item.reads}
        order = TopologicalSorter(
            {name: [one for one in item.reads if one in by_name] for name, item in by_name.items()}
        )
        return tuple(by_name[name] for name in order.static_order())

    @property
    def from_log(self) -> tuple[SequenceFeature, ...]:
        """The sequences that come from the log itself."""
        return tuple(item for item in self.sequence if item.key is not None)

    @property
    def categorical_columns(self) -> tuple[str, ...]:
        """Training-table columns of the categoricals, int32."""
        return tuple(column for feature in self.categoricals for column in feature.columns)

    @property
    def numeric_columns(self) -> tuple[str, ...]:
        """Training-table columns of the numerics, float32, null where unknown."""
        return tuple(feature.column for feature in self.numerics)

    @property
    def sequence_columns(self) -> tuple[SequenceColumn, ...]:
        """Training-table columns of the sequences, arrays of int32: one a sequence, with hashing one a seed."""
        return tuple(column for item in self.sequences for column in self.columns_of(item))

    @property
    def columns(self) -> tuple[str, ...]:
        """Training-table columns of all features that are read."""
        return (*self.categorical_columns, *self.numeric_columns, *self._sequence_names)

    @property
    def _sequence_names(self) -> tuple[str, ...]:
        ages = [item.age_column for item in self.sequences if item.age_column is not None]
        return (*(column.name for column in self.sequence_columns), *ages)

    @property
    def embedded_columns(self) -> tuple[str, ...]:
        """The columns that have embeddings of their own: the categoricals', then those of sequences that share none."""
        return (
            *self.categorical_columns,
            *(column.name for column in self.sequence_columns if column.table == column.name),
        )

    @property
    def min_counts(self) -> dict[str, int]:
        """Times that a value must be seen to enter the vocabulary, by feature with a vocabulary of its own."""
        own = [item for item in self.sequence if item.vocabulary is None]
        indexed: list[Categorical | SequenceFeature] = [*self.categorical, *own]
        return {feature.name: feature.min_count for feature in indexed if feature.hashing is None}

    @property
    def vocabulary_of(self) -> dict[str, str]:
        """The feature whose vocabulary each feature reads; features without a vocabulary are left out."""
        shared = {item.name: item.vocabulary for item in self.sequence if item.vocabulary in self.min_counts}
        return {**{name: name for name in self.min_counts}, **{name: str(of) for name, of in shared.items()}}

    def hashing_of(self, sequence: SequenceFeature) -> Hashing | None:
        """Return the hashing of the elements of `sequence`: its own, or that of the categorical that it shares with."""
        shared = next((feature for feature in self.categorical if feature.name == sequence.vocabulary), None)
        return sequence.hashing if shared is None else shared.hashing

    def columns_of(self, sequence: SequenceFeature) -> tuple[SequenceColumn, ...]:
        """Return the columns of `sequence`: one, or with hashing one a seed."""
        hashing = self.hashing_of(sequence)
        ends = [""] if hashing is None else [f"_{seed}" for seed in hashing.seeds]
        base = sequence.column if sequence.vocabulary is None else f"cat_{sequence.vocabulary}"
        made = sequence.max_length, sequence.pooling, sequence.age_column, sequence.decay_s
        return tuple(SequenceColumn(f"{sequence.column}{end}", f"{base}{end}", *made) for end in ends)

    def schema_hash(self) -> str:
        """Hash the table's feature columns as declared: names, SQL, hashing, lengths, the history, and their order.

        The table, the bundle and the scorer must agree on it. It leaves out what the model alone does with a column
        (transform, missing_indicator, pooling, decay_s), targets, which no model reads, and min_count, which only
        decides how early a value enters the vocabulary: another min_count never changes what an index means, as a refit
        does not.
        """
        made = {
            "categorical": [item.model_dump(mode="json", exclude={"min_count"}) for item in self.categorical],
            "numeric": [item.model_dump(mode="json", include={"name", "sql"}) for item in self.numeric],
        }
        if self.sequence:
            # Only then, so that a table without sequences, or without those of the log, keeps its identity.
            made["sequence"] = [
                item.model_dump(
                    mode="json",
                    exclude={"min_count", *MODELS_OWN, *(set() if item.key is not None else FROM_LOG)},
                )
                for item in self.sequence
            ]
        if self.history is not None:
            made["history"] = [self.history.model_dump(mode="json", exclude={"leaks"})]
        return short_hash(json.dumps(made, sort_keys=True))
