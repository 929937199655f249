"""AUC and log loss of every system after one pass over the same rows, on rows held out."""

from __future__ import annotations

import logging
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from processes import TimeLimitError
from sklearn.metrics import log_loss, roc_auc_score

from training.compare import LIMIT_S, Contender, Findings, contenders, why
from training.data import Problem, write
from training.peers import LIBRARIES, Settings, start
from training.rows import BATCH

LOG = logging.getLogger("bench")
# The other libraries train at a constant rate: here too, no warm-up and a decay that has hardly begun.
CONSTANT_RATE, LONG = {"warmup_steps": 0}, 1_000_000


@dataclass(frozen=True)
class Pass:
    """One pass over `train_rows` rows, judged on `test_rows` others."""

    vocabulary: int
    train_rows: int
    test_rows: int
    threads: int
    exponent: float
    seeds: int


def quality(models: Sequence[str], plan: Pass, folder: Path) -> Findings:
    """Every system with every seed, which draws its weights; the rows and their order stay."""
    found = Findings()
    problem = Problem(plan.vocabulary, plan.train_rows + plan.test_rows, plan.exponent)
    write(problem, folder)
    labels = np.load(folder / "labels.npy")[plan.train_rows :]
    for model in models:
        scores = {}
        for one in contenders(model, bf16=False):
            if one.model == model:
                scores[one.name] = _scores(one, plan, folder, labels, found)
        _add(model, {name: score for name, score in scores.items() if score}, found)
    return found


def _scores(one: Contender, plan: Pass, folder: Path, labels: np.ndarray, found: Findings) -> list[tuple[float, float]]:
    """(AUC, log loss) of each seed, means over the labels that the model learns."""
    scores = []
    for seed in range(1, plan.seeds + 1):
        steps = -(-plan.train_rows // BATCH)
        training = {**one.training, **CONSTANT_RATE}
        settings = Settings(one.model, plan.train_rows, plan.threads, BATCH, LONG, seed, training)
        try:
            with start(one.system, folder, settings, folder / f"{one.name}.log", LIMIT_S) as worker:
                worker.tell(f"train 0 {steps}")
                worker.tell(f"predict {folder / 'predicted.npy'}")
        except (subprocess.CalledProcessError, RuntimeError, TimeLimitError) as error:
            found.failures[f"{one.model}.{one.name}"] = why(error)
            return []
        predicted = np.load(folder / "predicted.npy").astype(np.float64)
        pairs = list(zip(labels.T[: predicted.shape[1]], predicted.T, strict=True))
        scores.append(
            (
                statistics.mean(float(roc_auc_score(label, p)) for label, p in pairs),
                statistics.mean(float(log_loss(label, p)) for label, p in pairs),
            )
        )
        LOG.info("%s %-14s seed %d  AUC %.4f  log loss %.4f", one.model, one.name, seed, *scores[-1])
    return scores


def _add(model: str, scores: dict[str, list[tuple[float, float]]], found: Findings) -> None:
    """Means and deviations; differences of this project's two row optimisers from each library's."""
    mean = {name: [statistics.mean(values) for values in zip(*each, strict=True)] for name, each in scores.items()}
    for name, each in scores.items():
        for index, what in enumerate(("auc", "log_loss")):
            values = [score[index] for score in each]
            found.figures[f"{model}.{name}.{what}"] = round(mean[name][index], 5)
            found.figures[f"{model}.{name}.{what}_sd"] = round(statistics.stdev(values), 5) if len(values) > 1 else 0.0
    against = [("camoe", name) for name in LIBRARIES] + [("camoe_rowwise", "torchrec")]
    for ours, other in against:
        if ours in mean and other in mean:
            found.ratios[f"{model}.auc.{ours}/{other}"] = round(mean[ours][0] / mean[other][0], 4)
            found.ratios[f"{model}.log_loss.{other}/{ours}"] = round(mean[other][1] / mean[ours][1], 4)
