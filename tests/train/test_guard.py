"""A loss that is not finite or explodes stops training and names rows of its batch."""

from __future__ import annotations

import numpy as np
import pytest

from camoe.contracts.errors import TrainingError
from camoe.contracts.snapshot import pin
from camoe.stream.plan import make_plan, row_names
from camoe.train.guard import NAMES, LossGuard
from camoe.train.workers import join_workers
from tests.stream.lake import write_table


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    table = write_table(tmp_path_factory.mktemp("guard") / "t", [(0, 0, [30, 30]), (1, 0, [20])])
    return make_plan(pin(table), seed=1, epoch=2, batch_size=16, lanes=2)


@pytest.fixture
def guard_of(tmp_path):
    return lambda most, earlier: LossGuard(most, earlier, join_workers(), tmp_path / "logs")


def rows_of(plan, step):
    names = np.concatenate([row_names(plan, piece) for piece in plan.batch(step)])
    return [(plan.snapshot.files[file].path, group, row) for file, group, row in names.tolist()]


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_at_once_and_all_rows_of_its_batch_are_named(plan, guard_of, tmp_path, loss):
    with pytest.raises(TrainingError) as error:
        guard_of(10, []).check(loss, 1.0, plan, 2)
    named = tmp_path / "logs/batch-epoch0003-step00000003.tsv"
    rows = rows_of(plan, 2)
    first = "; ".join(f"{file}, row group {group}, row {row}" for file, group, row in rows[:3])
    message = f"the loss is {loss} at step 3 of epoch 3; its batch of 16 rows begins with {first}; all are named in"
    assert f"{message} {named}" in str(error.value)
    header, *lines = named.read_text().splitlines()
    assert tuple(header.split("\t")) == NAMES
    assert [tuple(line.split("\t")) for line in lines] == [(file, str(group), str(row)) for file, group, row in rows]
    assert len(set(lines)) == 16


@pytest.mark.parametrize("norm", [float("nan"), float("inf")])
def test_gradients_that_are_not_finite_stop_at_the_batch_that_gave_them(plan, guard_of, norm):
    with pytest.raises(TrainingError, match=f"the norm of the gradients is {norm}, at a loss of 0.5 at step 3 of"):
        guard_of(10, []).check(0.5, norm, plan, 2)


def test_names_that_cannot_be_written_do_not_hide_the_loss(plan, guard_of, tmp_path):
    (tmp_path / "logs").write_text("a file where the folder should be")
    with pytest.raises(TrainingError, match=r"the loss is nan .* the names of all could not be written to .*tsv"):
        guard_of(10, []).check(float("nan"), 1.0, plan, 2)


def test_a_loss_far_above_its_running_mean_stops(plan, guard_of):
    guard = guard_of(10, [0.5] * 20)
    guard.check(4.9, 1.0, plan, 0)
    with pytest.raises(TrainingError, match="the loss explodes: it is 8, 11 times its running mean at step 2"):
        guard.check(8.0, 1.0, plan, 1)


def test_the_first_losses_are_not_judged(plan, guard_of):
    guard = guard_of(2, [0.1] * 18)
    guard.check(50.0, 1.0, plan, 0)
    guard.check(50.0, 1.0, plan, 1)
    with pytest.raises(TrainingError, match="explodes"):
        guard.check(50.0, 1.0, plan, 2)
