"""A loss that is not finite or explodes stops training and names rows of its batch."""

from __future__ import annotations

import numpy as np
import pytest

from camoe.contracts.errors import TrainingError
from camoe.contracts.snapshot import pin
from camoe.stream.planning.plan import make_plan, row_names
from camoe.train.checkpoint.history import RunningLoss
from camoe.train.distributed.workers import join_workers
from camoe.train.loop.guard import NAMES, LossGuard
from camoe.train.loop.step import StepResult
from tests.stream.lake import write_table

HEADS = ("audio", "video")
FRESH = (RunningLoss(), RunningLoss())


def batch(*heads, norm=1.0):
    """What a step learned, from (mean loss, rows) of each head; heads weigh the same."""
    losses, rows = tuple(mean * rows for mean, rows in heads), tuple(rows for _, rows in heads)
    return StepResult(sum(mean for mean, rows in heads if rows), losses, rows, norm, 0.0)


def followed(guard, plan, *batches, levels=FRESH):
    """The levels after `batches`."""
    for learned in batches:
        levels = guard.check(levels, learned, plan, 2)
    return levels


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    table = write_table(tmp_path_factory.mktemp("guard") / "t", [(0, 0, [30, 30]), (1, 0, [20])])
    return make_plan(pin(table), seed=1, epoch=2, batch_size=16, lanes=2)


@pytest.fixture
def guard_of(tmp_path):
    return lambda most: LossGuard(most, HEADS, join_workers(), tmp_path / "logs")


def rows_of(plan, step):
    names = np.concatenate([row_names(plan, piece) for piece in plan.batch(step)])
    return [(plan.snapshot.files[file].path, group, row) for file, group, row in names.tolist()]


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_at_once_and_all_rows_of_its_batch_are_named(plan, guard_of, tmp_path, loss):
    with pytest.raises(TrainingError) as error:
        followed(guard_of(10), plan, batch((loss, 9), (0.5, 1)))
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
        followed(guard_of(10), plan, batch((0.3, 9), (0.2, 1), norm=norm))


def test_names_that_cannot_be_written_do_not_hide_the_loss(plan, guard_of, tmp_path):
    (tmp_path / "logs").write_text("a file where the folder should be")
    with pytest.raises(TrainingError, match=r"the loss is nan .* the names of all could not be written to .*tsv"):
        followed(guard_of(10), plan, batch((float("nan"), 9), (0.5, 1)))


def test_the_loss_of_a_head_far_above_its_running_mean_stops(plan, guard_of):
    """Also where the other head, with most of the rows, has the loss that it had."""
    usual = followed(guard_of(10), plan, *[batch((0.02, 5000), (0.5, 40))] * 30)
    followed(guard_of(10), plan, batch((0.02, 5000), (4.9, 40)), levels=usual)
    message = "the loss of video explodes: it is 30 a row over 40 rows, and its running mean is 0.5, at step 3"
    with pytest.raises(TrainingError, match=message):
        followed(guard_of(10), plan, batch((0.02, 5000), (30.0, 40)), levels=usual)


def test_a_large_batch_is_judged_by_the_factor_itself(plan, guard_of):
    usual = followed(guard_of(10), plan, *[batch((0.5, 100_000), (0.5, 0))] * 30)
    followed(guard_of(10), plan, batch((4.99, 100_000), (0.5, 0)), levels=usual)
    with pytest.raises(TrainingError, match="the loss of audio explodes"):
        followed(guard_of(10), plan, batch((5.02, 100_000), (0.5, 0)), levels=usual)


def test_a_rare_head_stops_nothing(plan, guard_of):
    """Its first click raises the loss of the batch from 0.02 to 2.32, more than 50 times; so does any click of it."""
    without, first = batch((0.02, 5000), (0.0, 0)), batch((0.02, 5000), (2.3, 1))
    levels = followed(guard_of(50), plan, *[without] * 30, first, *[without] * 30)
    missed = batch((0.02, 5000), (0.001, 1))
    levels = followed(guard_of(50), plan, *[missed] * 300, batch((0.02, 5000), (6.9, 1)), levels=levels)
    assert [level.batches for level in levels] == [362, 302]


def test_rare_clicks_stop_nothing(plan, guard_of):
    """One row in a thousand is clicked, so a batch of 32 has three such clicks once in 200,000."""
    usual = followed(guard_of(50), plan, *[batch((0.008, 32), (0.0, 0))] * 50)
    followed(guard_of(50), plan, batch((3 * 6.9 / 32, 32), (0.0, 0)), levels=usual)


@pytest.mark.parametrize("most", [2, 50])
def test_any_loss_of_a_model_that_knows_something_is_sound_after_losses_of_zero(plan, guard_of, most):
    perfect = followed(guard_of(most), plan, *[batch((0.0, 500), (0.0, 3))] * 30)
    followed(guard_of(most), plan, batch((0.69, 500), (0.69, 3)), levels=perfect)
    with pytest.raises(TrainingError, match=r"the loss of audio explodes: .* its running mean is 0, at"):
        followed(guard_of(most), plan, batch((0.9, 500), (0.0, 3)), levels=perfect)


def test_the_first_losses_of_a_head_are_not_judged(plan, guard_of):
    """However many batches had rows of the other."""
    common = [batch((0.1, 500), (0.0, 0))] * 50
    levels = followed(guard_of(2), plan, *common, *[batch((0.1, 500), (0.1, 500))] * 18)
    levels = followed(guard_of(2), plan, *[batch((0.1, 500), (50.0, 500))] * 2, levels=levels)
    with pytest.raises(TrainingError, match="the loss of video explodes"):
        followed(guard_of(2), plan, batch((0.1, 500), (50.0, 500)), levels=levels)


def test_the_running_mean_forgets(plan, guard_of):
    high, low = batch((0.7, 500), (0.0, 0)), batch((0.1, 500), (0.0, 0))
    (level, _) = followed(guard_of(50), plan, *[high] * 100, *[low] * 700)
    assert level.mean == pytest.approx(0.1, abs=0.001)
