"""Definitions of features: hashes by which a day of the training table says what each of its columns was made of."""

from __future__ import annotations

import json
from typing import Any

from camoe.contracts.features import FeatureSet
from camoe.contracts.hashing import short_hash
from camoe.contracts.history import History, HistoryFeature
from camoe.contracts.sequences import FROM_LOG, MODELS_OWN, SequenceFeature

# What of a history is not one feature's own, or changes no value.
NOT_SHARED = {"leaks", "keys", "windows", "objectives", "make", "smoothing", "transform"}


def definitions(features: FeatureSet) -> dict[str, str]:
    """Return the hash of what decides the values of each declared feature, and of each target by its column.

    Left out is what the model alone does with a column, and min_count, as by `FeatureSet.schema_hash` for all together.
    The definition of a number that names other features has theirs in it.
    """
    made: dict[str, Any] = {
        item.name: ["categorical", item.model_dump(mode="json", exclude={"min_count"})] for item in features.categorical
    }
    made |= {item.name: ["numeric", item.sql] for item in features.numeric if not item.reads}
    if features.history is not None:
        made |= {item.name: _of_the_past(item, features.history) for item in features.history.features}
    for item in features.derived:
        made[item.name] = ["numeric", item.sql, {name: made[name] for name in item.reads}]
    made |= {item.name: _sequence(item, features) for item in features.sequence}
    made |= {item.column: ["target", item.sql] for item in features.targets}
    return {name: short_hash(json.dumps(one, sort_keys=True)) for name, one in made.items()}


def read_definitions(features: FeatureSet) -> dict[str, str]:
    """Return the definitions of the features that are read, where a model leaves some out."""
    made = definitions(features)
    return {item.name: made[item.name] for item in features.declared}


def columns_of(features: FeatureSet, name: str) -> tuple[str, ...]:
    """Return the training-table columns of the feature, or of the target that has this column."""
    categorical = {item.name: item.columns for item in features.categorical}
    sequences = {
        item.name: (*(column.name for column in features.columns_of(item)), *filter(None, [item.age_column]))
        for item in features.sequence
    }
    numeric = {item.name: (item.column,) for item in features.numerics}
    return {**categorical, **numeric, **sequences}.get(name, (name,))


def _shared(history: History) -> dict[str, Any]:
    return history.model_dump(mode="json", exclude=NOT_SHARED)


def _of_the_past(item: HistoryFeature, history: History) -> list[Any]:
    window = history.windows[item.window] if item.made != "ages" else None
    keys, key = [], item.key if item.made == "rates" else None
    while key is not None:
        keys.append([key, *history.keys[key].by])
        key = history.parent_of(key)
    rate = [keys, str(history.smoothing), history.transform] if item.made == "rates" else [history.keys[item.key].by]
    return ["history", _shared(history), item.made, item.of, window, rate]


def _sequence(item: SequenceFeature, features: FeatureSet) -> list[Any]:
    own = item.model_dump(
        mode="json", exclude={"min_count", *MODELS_OWN, *(set() if item.key is not None else FROM_LOG)}
    )
    hashing = features.hashing_of(item)
    of = [own, None if hashing is None else hashing.model_dump(mode="json")]
    if item.key is None or features.history is None:
        return ["sequence", *of]
    return ["sequence", *of, _shared(features.history), features.history.keys[item.key].by]
