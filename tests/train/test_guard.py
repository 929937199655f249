"""A loss that is not finite or explodes stops training and names rows of its batch."""

from __future__ import annotations

import pytest

from camoe.contracts.errors import TrainingError
from camoe.contracts.snapshot import pin
from camoe.stream.plan import make_plan, row_names
from camoe.train.guard import LossGuard
from tests.stream.lake import write_table


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    table = write_table(tmp_path_factory.mktemp("guard") / "t", [(0, 0, [30, 30]), (1, 0, [20])])
    return make_plan(pin(table), seed=1, epoch=2, batch_size=16, lanes=2)


def first_row(plan, step):
    file, group, row = row_names(plan, plan.batch(step)[0])[0]
    return f"{plan.snapshot.files[file].path}, row group {group}, row {row};"


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_at_once(plan, loss):
    with pytest.raises(TrainingError) as error:
        LossGuard(10, []).check(loss, plan, 2)
    assert f"the loss is {loss} at step 3 of epoch 3; its batch of 16 rows begins with" in str(error.value)
    assert first_row(plan, 2) in str(error.value)


def test_a_loss_far_above_its_running_mean_stops(plan):
    guard = LossGuard(10, [0.5] * 20)
    guard.check(4.9, plan, 0)
    with pytest.raises(TrainingError, match="the loss explodes: it is 8, 11 times its running mean at step 2"):
        guard.check(8.0, plan, 1)


def test_the_first_losses_are_not_judged(plan):
    guard = LossGuard(2, [0.1] * 18)
    guard.check(50.0, plan, 0)
    guard.check(50.0, plan, 1)
    with pytest.raises(TrainingError, match="explodes"):
        guard.check(50.0, plan, 2)
