"""Whether a bundle's calibration and metrics are those of its validation day, worked out from its predictions alone."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.special import logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

import camoe
from camoe.bundle.calibration import read_calibration
from camoe.bundle.manifest import open_bundle
from camoe.config.pipeline import Config
from camoe.contracts.schema import label_column
from camoe.contracts.snapshot import pin
from camoe.metrics.scores import ScoreReference, score_bins, score_shift
from camoe.metrics.table import MODEL, MODEL_RAW
from camoe.score.local import score_snapshot

COLUMNS = {MODEL: "p", MODEL_RAW: "p_raw"}


def labelled(config: Config, bundle: Path) -> pd.DataFrame:
    """Return every labelled row of the validation days: the bundle's predictions, by objective, and the label `y`."""
    days, table = config.days.validation.days(), pin(config.layout.training)
    scored = pa.concat_tables(score_snapshot(camoe.load(bundle).model, table, days)).to_pandas()
    names = {label_column(objective): objective for objective in config.heads.objectives}
    files = [pq.ParquetFile(file.path).read(["impression_id", *names]) for file in table.on(days).files]
    labels = pa.concat_tables(files).to_pandas().rename(columns=names)
    by_row = labels.melt("impression_id", var_name="objective", value_name="y").dropna()
    rows: pd.DataFrame = scored.merge(by_row, on=["impression_id", "objective"], validate="one_to_one")
    return rows


def require_calibrated(config: Config, bundle: Path) -> dict[str, bool]:
    """Check that each head's two parameters are the logistic regression of its labelled rows, and the metrics those of
    all of them; return which heads have parameters."""
    rows = labelled(config, bundle)
    found = read_calibration(open_bundle(bundle))
    for head, platt in found.items():
        own = rows[rows["head"] == head]
        assert (platt.rows, platt.positives) == (len(own), own["y"].sum())
        if platt.reason is None:
            x = logit(own[["p_raw"]].to_numpy())
            direct = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(x, own["y"])
            assert platt.slope == pytest.approx(direct.coef_[0, 0], rel=5e-3)
            assert platt.intercept == pytest.approx(direct.intercept_[0], rel=5e-3)
        else:
            np.testing.assert_array_equal(own["p"], own["p_raw"])
    metrics = json.loads((bundle / "metrics.json").read_text())
    require_reference(metrics["scores"], rows)
    for said in metrics["validation"]:
        own = rows[rows["head"] == said["head"]]
        part = own if said["group_kind"] == "head" else own[own["slot"] == said["group"]]
        require_figures(said, part[COLUMNS[said["predictor"]]].to_numpy(), part["y"].to_numpy(), config)
    return {head: platt.reason is None for head, platt in found.items()}


def require_figures(said: dict[str, Any], p: npt.NDArray[Any], y: npt.NDArray[Any], config: Config) -> None:
    """Check NE and ECE, over bins of as many rows each, of labels `y` and predictions `p`."""
    assert (said["impressions"], said["clicks"]) == (len(y), y.sum())
    # Rows of the same 1/400 of the logit stay together; rounding may move a row into the next one.
    _, alike, size = np.unique(np.floor(logit(p) * 400), return_inverse=True, return_counts=True)
    bins = np.floor((np.cumsum(size) - size / 2) / len(p) * config.evaluation.ece_bins).astype(int)
    ece = np.abs(np.bincount(bins[alike], weights=p - y)).sum() / len(p)
    assert said["ece"] == pytest.approx(ece, abs=0.01)
    if 0 < y.mean() < 1:
        assert said["ne"] == pytest.approx(log_loss(y, p) / log_loss(y, np.full(len(y), y.mean())), rel=1e-3)


def require_reference(scores: list[dict[str, Any]], rows: pd.DataFrame) -> None:
    """Check that the reference that later days' scores are held against is that of the labelled rows."""
    own = {key: part["p"].to_numpy() for key, part in rows.groupby(["objective", "head", "slot"])}
    references = [ScoreReference.model_validate(one) for one in scores]
    assert {(one.objective, one.head, one.slot) for one in references} == own.keys()
    for one in references:
        bins = Counter(score_bins(own[one.objective, one.head, one.slot]).tolist())
        shift = score_shift(one, bins)
        assert (shift.rows, shift.reference_rows) == (one.rows, sum(one.counts))
        # A row beside the edge of a cell may lie on its other side: a bin has one calibrated score.
        assert shift.psi is not None
        assert shift.psi < 0.02
