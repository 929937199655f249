"""AUC and log loss of every system after one pass over the same rows, each at the learning rate that suits it best."""

from __future__ import annotations

import logging
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import log_loss, roc_auc_score

from bench.processes import TimeLimitError
from bench.training.compare import LIMIT_S, ROWWISE, Contender, Findings, why
from bench.training.data import Problem, write
from bench.training.peers import LIBRARIES, Settings, start
from bench.training.rows import BATCH

LOG = logging.getLogger("bench")
# The other libraries train at a constant rate and without decay of weights: here too.
PLAIN = {"warmup_steps": 0, "weight_decay": 0.0}
LONG = 1_000_000
# Every system is tried at these, with the first seed, and judged on other rows at the best.
RATES = (1e-3, 3e-3, 1e-2)
AGAINST = [*[("camoe_adam", name) for name in LIBRARIES], *[("camoe", name) for name in LIBRARIES]]
AGAINST += [("camoe_rowwise", "torchrec"), ("camoe", "torchrec")]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Pass:
    """One pass over `train_rows` rows; of `test_rows` others one half chooses the rate, the other one judges."""

    vocabulary: int
    train_rows: int
    test_rows: int
    threads: int
    exponent: float
    seeds: int


@dataclass(frozen=True)
class Score:
    """Means over the labels that the model learns."""

    auc: float
    log_loss: float


def quality(models: Sequence[str], plan: Pass, folder: Path) -> Findings:
    """Train every system with every seed, which draws its weights; the rows and their order stay."""
    found = Findings()
    write(Problem(plan.vocabulary, plan.train_rows + plan.test_rows, plan.exponent), folder)
    truth, labels = (np.load(folder / f"{name}.npy")[plan.train_rows :] for name in ("truth", "labels"))
    choosing, judging = np.split(np.arange(plan.test_rows), [plan.test_rows // 2])
    best = judged(labels[judging], truth[judging])
    found.figures |= {"truth.auc": round(best.auc, 5), "truth.log_loss": round(best.log_loss, 5)}
    for model in models:
        scores: dict[str, list[Score]] = {}
        for one in _cast(model):
            try:
                first = {rate: _predicted(one, plan, folder, 1, rate) for rate in RATES}
                tried = {rate: judged(labels, predicted, choosing) for rate, predicted in first.items()}
                rate = min(tried, key=lambda rate: tried[rate].log_loss)
                each = [first[rate], *(_predicted(one, plan, folder, seed, rate) for seed in range(2, plan.seeds + 1))]
            except (subprocess.CalledProcessError, RuntimeError, TimeLimitError) as error:
                found.failures[f"{model}.{one.name}"] = why(error)
                continue
            scores[one.name] = [judged(labels, predicted, judging) for predicted in each]
            found.figures[f"{model}.{one.name}.learning_rate"] = rate
            LOG.info("%s %s: of %s chose %g: %s", model, one.name, tried, rate, scores[one.name])
        found.figures |= summary(model, scores)
        found.ratios |= ratios(model, scores)
    return found


def _cast(model: str) -> list[Contender]:
    """Return this project with each optimiser of embeddings, and the other systems; Adam is what the others have."""
    own: dict[str, Mapping[str, Any]] = {
        "camoe": {}, "camoe_rowwise": ROWWISE, "camoe_adam": {"embedding_optimiser": "adam"}
    }  # fmt: skip
    ours = [Contender(name, "camoe", model, {**PLAIN, **training}) for name, training in own.items()]
    return ours + [Contender(name, name, model) for name in (*LIBRARIES, "torchrec")]


def _predicted(one: Contender, plan: Pass, folder: Path, seed: int, rate: float) -> Floats:
    """Return probabilities `[N, H]` of the rows held out, after one pass."""
    file = folder / "predicted.npy"
    settings = Settings(one.model, plan.train_rows, plan.threads, BATCH, LONG, seed, rate, dict(one.training))
    with start(one.system, folder, settings, folder / f"{one.name}.log", LIMIT_S) as worker:
        worker.tell(f"train 0 {-(-plan.train_rows // BATCH)}")
        worker.tell(f"predict {file}")
    predicted: Floats = np.load(file).astype(np.float64)
    return predicted


def judged(labels: npt.NDArray[np.int8], predicted: Floats, rows: Any = slice(None)) -> Score:
    """Return the score on `rows`, of as many labels as were predicted."""
    pairs = list(zip(labels[rows].T, predicted[rows].T, strict=False))
    aucs = [float(roc_auc_score(label, p)) for label, p in pairs]
    return Score(statistics.mean(aucs), statistics.mean(float(log_loss(label, p)) for label, p in pairs))


def summary(model: str, scores: Mapping[str, Sequence[Score]]) -> dict[str, float]:
    """Return means and deviations over the seeds."""
    found = {}
    for name, each in scores.items():
        for what in ("auc", "log_loss"):
            values = [getattr(score, what) for score in each]
            found[f"{model}.{name}.{what}"] = round(statistics.mean(values), 5)
            found[f"{model}.{name}.{what}_sd"] = round(statistics.stdev(values), 5) if len(values) > 1 else 0.0
    return found


def ratios(model: str, scores: Mapping[str, Sequence[Score]]) -> dict[str, float]:
    """Return mean AUC of ours over theirs, and mean log loss of theirs over ours: above 1 we are better."""

    def mean(name: str, what: str) -> float:
        return float(statistics.mean(getattr(score, what) for score in scores[name]))

    found = {}
    for ours, other in AGAINST:
        if ours in scores and other in scores:
            found[f"{model}.auc.{ours}/{other}"] = round(mean(ours, "auc") / mean(other, "auc"), 4)
            found[f"{model}.log_loss.{other}/{ours}"] = round(mean(other, "log_loss") / mean(ours, "log_loss"), 4)
    return found
