"""Columns of the impressions that the history needs: keys, values of sequences, and which of them count."""

from __future__ import annotations

from pyspark.sql import DataFrame

from camoe.contracts.features import FeatureSet
from camoe.contracts.schema import label_column
from features.history.events import counts_in_history
from features.history.keys import key_column, key_columns, value_column, value_columns
from features.impressions.labels import settled_column
from features.impressions.tally import is_kept

# Whether an impression goes on to the training table; others only count in the history.
KEPT = "_kept"


def hidden_columns(joined: DataFrame) -> list[str]:
    """Return the columns that no expression of the features may see: labels, of whatever objective, and helpers."""
    return [name for name in joined.columns if name.startswith((label_column(""), "_"))]


def visible_columns(joined: DataFrame) -> DataFrame:
    """Return the columns that the expressions of the features see."""
    return joined.drop(*hidden_columns(joined))


def with_keys(joined: DataFrame, features: FeatureSet) -> DataFrame:
    """Add the keys, the values of the sequences, and whether the impression goes on to the training table.

    Raises:
        ConfigError: an expression is none over the columns that features see, or gives no plain value.
    """
    assert features.history is not None
    visible = visible_columns(joined)
    made = {**key_columns(visible, features.history), **value_columns(visible, features.from_log)}
    return joined.withColumns({**made, KEPT: is_kept()})


def keyed_columns(features: FeatureSet) -> list[str]:
    """Return the columns that the history needs of each impression, besides `ts`, `date` and its ids."""
    assert features.history is not None
    settled = [settled_column(name) for name in features.history.objectives]
    values = [value_column(item) for item in features.from_log]
    return [KEPT, *[key_column(name) for name in features.history.keys], *values, *settled]


def history_rows(judged: DataFrame) -> DataFrame:
    """Return the impressions that count in the history, of which the kept ones are a part."""
    return judged.where(counts_in_history())
