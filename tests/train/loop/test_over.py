"""Why training ended, and which weights it ended with, as it is told."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from camoe.config.training import TrainingConfig
from camoe.train.checkpoint.history import Check, EpochResult, History, Validation
from camoe.train.loop.over import entropies, why_over


def history(scores, checks=()):
    """Epochs of two steps with validations of these scores; `checks` come after the first step of the last."""
    of = [Validation((score,), ((),), score) for score in scores]
    epochs = [EpochResult(at, (0.5, 0.5), 8, 8, 1.0, "", one) for at, one in enumerate(of)]
    within = tuple(Check(1, "", Validation((score,), ((),), score)) for score in checks)
    return History((*epochs[:-1], replace(epochs[-1], checks=within)))


KEPT = "; the weights are those of the best validation, after"


@pytest.mark.parametrize(
    ("scores", "checks", "settings", "until", "expected"),
    [
        ((0.9, 0.8), (), {"epochs": 2}, None, f"4 steps: all 2 epochs are done (training.epochs){KEPT} epoch 2"),
        (
            (0.9, 0.95), (0.8,), {"steps": 4}, None,
            f"4 steps: all 4 steps are done (training.steps){KEPT} epoch 2, step 1",
        ),
        ((math.inf,), (), {"steps": 9}, 2, "2 steps: all 2 steps of the refit are done"),
    ],
)  # fmt: skip
def test_why_training_is_over_is_told(scores, checks, settings, until, expected):
    assert why_over(history(scores, checks), TrainingConfig.model_validate(settings), until) == f"over after {expected}"


def test_an_entropy_is_told_with_the_name_of_its_head():
    assert entropies(["audio", "video"], Validation((0.91234, math.nan), ((), ()), 0.9)) == "audio 0.9123, video \u2013"
