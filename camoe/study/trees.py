"""A trial of boosted trees on the columns of the networks: vocabulary indices as categories, numerics as they are."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date

import lightgbm
import numpy as np
import pandas as pd

from camoe.config.pipeline import Config
from camoe.contracts.snapshot import logged, opened
from camoe.metrics.histogram import Floats, Histogram
from camoe.metrics.platt import Platt, fit_platt, keep_if_better
from camoe.study.rows import Rows, read_rows
from camoe.study.trial import Factors
from camoe.train.data.training_inputs import open_training_inputs

ROUNDS = 600
PATIENCE = 30
HEAD = "trees"


@dataclass(frozen=True)
class Trees:
    """Trees that are grown, with the number of rounds that the validation days chose, and their calibration there.

    `validation` are the scored rows of the validation days, as `score` gives them, not calibrated.
    """

    model: lightgbm.Booster
    calibration: Platt
    validation: pd.DataFrame


def train(config: Config, version: int, factors: Factors) -> Trees:
    """Grow the trees. They read no sequences, and have no heads: the slot is a column where the features have it."""
    inputs = open_training_inputs(config, version)
    own, check = (read_rows(config, snapshot) for snapshot in (inputs.train, inputs.validation))
    settings = {
        "objective": "binary",
        "learning_rate": 0.05 * factors.rate,
        "num_leaves": 31,
        "min_data_in_leaf": max(1, round(100 * factors.regularisation)),
        "feature_fraction": 0.8,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "cat_smooth": 50 * factors.regularisation,
        "lambda_l2": factors.regularisation,
        "seed": config.training.seed,
        "deterministic": True,
        "verbose": -1,
    }
    data, valid = (dataset(rows) for rows in (own, check))
    stop = lightgbm.early_stopping(PATIENCE, verbose=False)
    model = lightgbm.train(settings, data, ROUNDS, [valid], callbacks=[stop])
    users, p = config.evaluation.user_buckets, _predicted(model, check)
    state = Histogram.from_rows(p, check.label, check.bucket, users)
    fitted = keep_if_better(fit_platt(state, config.calibration.min_per_class), state, users)
    return Trees(model, fitted, _frame(config, check, p, p))


def score(config: Config, version: int, days: Collection[date], trees: Trees) -> Iterator[pd.DataFrame]:
    """Yield the scored rows of `days`, a day at a time, as those of a network; see `states_of` for the columns."""
    snapshot = opened(logged(config.training_table, version), days).on(days)
    for day in sorted(days):
        rows = read_rows(config, snapshot.on([day]))
        p_raw = _predicted(trees.model, rows)
        yield _frame(config, rows, trees.calibration.calibrated(p_raw), p_raw).assign(date=day.isoformat())


def _frame(config: Config, rows: Rows, p: Floats, p_raw: Floats) -> pd.DataFrame:
    names = np.array([slot.id for slot in config.slots.slots], dtype=object)
    given = {"p": p, "p_raw": p_raw, "label": rows.label, "bucket": rows.bucket, "slot": names[rows.slot]}
    return pd.DataFrame(given).assign(objective=config.heads.objectives[0], head=HEAD)


def _predicted(model: lightgbm.Booster, rows: Rows) -> Floats:
    return np.asarray(model.predict(columns(rows)), np.float64)


def columns(rows: Rows) -> pd.DataFrame:
    """Return what trees read of `rows`: categories as `c0`, `c1`, ..., numerics as `n0`, `n1`, ..."""
    return pd.concat(
        [pd.DataFrame(rows.categorical).add_prefix("c"), pd.DataFrame(rows.numeric).add_prefix("n")], axis=1
    )


def categories(rows: Rows) -> list[str]:
    """Return the names of the categories among `columns`."""
    return [f"c{number}" for number in range(rows.categorical.shape[1])]


def dataset(rows: Rows) -> lightgbm.Dataset:
    """Return the rows of which the label is known, as LightGBM takes them."""
    known = rows.known
    return lightgbm.Dataset(
        columns(rows)[known], rows.label[known], categorical_feature=categories(rows), free_raw_data=False
    )
