"""Gradient-boosted trees on the same columns: vocabulary indices as categories, numerics as they are in the table."""

from __future__ import annotations

import catboost
import lightgbm
import numpy as np

from bench.ranking.rows import Days, Floats, Rows
from camoe.study.trees import PATIENCE, ROUNDS, categories, columns, dataset


def train_lightgbm(days: Days, factor: float, seed: int) -> tuple[Floats, Floats]:
    """Train, and return the validation and the test rows' probabilities; the validation days choose the rounds."""
    settings = {
        "objective": "binary",
        "learning_rate": 0.05 * factor,
        "num_leaves": 31,
        "min_data_in_leaf": 100,
        "feature_fraction": 0.8,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "cat_smooth": 50,
        "seed": seed,
        "num_threads": 2,
        "verbose": -1,
    }
    own, check = (dataset(rows) for rows in (days.train, days.validation))
    model = lightgbm.train(settings, own, ROUNDS, [check], callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)])
    found = (np.asarray(model.predict(columns(rows)), np.float64) for rows in (days.validation, days.test))
    return next(found), next(found)


def train_catboost(days: Days, factor: float, seed: int) -> tuple[Floats, Floats]:
    """Return what `train_lightgbm` does, of CatBoost."""
    model = catboost.CatBoostClassifier(
        iterations=ROUNDS,
        learning_rate=0.05 * factor,
        depth=6,
        random_seed=seed,
        early_stopping_rounds=PATIENCE,
        thread_count=2,
        verbose=False,
        allow_writing_files=False,
    )
    own, check = (_catboost_rows(rows) for rows in (days.train, days.validation))
    model.fit(own, eval_set=check)
    found = (np.asarray(model.predict_proba(columns(rows)), np.float64)[:, 1] for rows in (days.validation, days.test))
    return next(found), next(found)


TREES = {"lightgbm": train_lightgbm, "catboost": train_catboost}


def _catboost_rows(rows: Rows) -> catboost.Pool:
    known = rows.known
    return catboost.Pool(columns(rows)[known], rows.label[known], cat_features=categories(rows))
