"""A checkpoint is there whole or not at all, and training goes on from it as if nothing had been."""

from __future__ import annotations

import math
import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from camoe.contracts.errors import TrainingError
from camoe.train.checkpoint.checkpoint import read_tensors
from camoe.train.checkpoint.folder import complete, new_run, newest
from camoe.train.checkpoint.history import History
from camoe.train.checkpoint.resume import newest_whole, resume_point
from camoe.train.checkpoint.state import read_run_state
from camoe.train.loop.seeding import draw_rows
from tests.disk import FULL, small_disk
from tests.killed import killed_at_each
from tests.train.checkpoint.learner import RUN, SETTINGS, checkpoints, epochs, fresh, learn


def weights(path):
    return read_tensors(path / "model.safetensors", torch.device("cpu"))


@pytest.mark.parametrize("average", [None, 0.9])
def test_training_goes_on_bit_for_bit(config, tmp_path, average):
    model, optimisers = fresh(config, average=average)
    learn(model, optimisers, range(4))
    history = History(epochs(0.9), (0.3, 0.1 + 0.2), 7.5)
    with optimisers.averaged():
        path = checkpoints(tmp_path).save(model, optimisers, history)
        kept = {name: value.clone() for name, value in model.state_dict().items()}
    # What is kept of an epoch, and served, is the average.
    assert all(torch.equal(value, kept[name]) for name, value in weights(path).items())
    learn(model, optimisers, range(4, 9))
    other, others = fresh(config, seed=5, average=average)
    read = checkpoints(tmp_path).restore(path, other, others)
    assert repr(read) == repr(history)  # NaN equals itself here.
    learn(other, others, range(4, 9))
    for _ in range(2):
        for name, value in model.state_dict().items():
            assert torch.equal(value, other.state_dict()[name]), name
        optimisers.swap()
        others.swap()
    assert [schedule.get_last_lr() for schedule in optimisers.schedules] == [
        schedule.get_last_lr() for schedule in others.schedules
    ]


def test_no_file_of_a_checkpoint_is_a_pickle(config, tmp_path):
    path = checkpoints(tmp_path).save(*fresh(config), History())
    assert {file.suffix for file in path.iterdir()} == {".safetensors", ".json"}


def test_the_newest_and_the_best_are_kept_and_another_run_goes(config, tmp_path):
    model, optimisers = fresh(config)
    old = replace(checkpoints(tmp_path), part=new_run(tmp_path))
    old.save(model, optimisers, History())
    for scores in ((0.9,), (0.9, 0.7), (0.9, 0.7, 0.8), (0.9, 0.7, 0.8, 0.85), (0.9, 0.7, 0.8, 0.85, 0.86)):
        checkpoints(tmp_path).save(model, optimisers, History(epochs(*scores)))
    assert [path.name for path in complete(tmp_path)] == [f"{RUN}-epoch{epoch:04d}-step00000000" for epoch in (2, 4, 5)]


def test_where_validation_tells_nothing_the_newest_epoch_is_the_best():
    assert History(epochs(0.9, 0.7, 0.8)).best == 1
    assert History(epochs(math.inf, 0.7, math.inf)).best == 1
    assert History(epochs(math.inf, math.inf)).best == 1


def test_other_settings_are_refused_by_name(config, tmp_path):
    model, optimisers = fresh(config)
    path = checkpoints(tmp_path).save(model, optimisers, History())
    changed = checkpoints(tmp_path, settings={**SETTINGS, "training.learning_rate": 0.01, "table version": 4})
    with pytest.raises(TrainingError) as error:
        changed.restore(path, model, optimisers)
    assert "table version was 3 and is 4; training.learning_rate was 0.001 and is 0.01;" in str(error.value)


def test_weights_that_are_not_finite_are_not_saved(config, tmp_path):
    model, optimisers = fresh(config)
    good = checkpoints(tmp_path).save(model, optimisers, History())
    name, bias = next((name, value) for name, value in model.named_parameters() if name.endswith("bias"))
    with torch.no_grad():
        bias[0] = float("nan")
    with pytest.raises(TrainingError, match=rf"{name}: not finite, .* --resume continues from .*step00000000"):
        checkpoints(tmp_path).save(model, optimisers, History((), (0.5,)))
    assert complete(tmp_path) == [good]


@pytest.mark.parametrize("file", ["state.json", "model.safetensors", "optimisers.safetensors"])
def test_a_damaged_checkpoint_is_named(config, tmp_path, file):
    model, optimisers = fresh(config)
    path = checkpoints(tmp_path).save(model, optimisers, History())
    os.truncate(path / file, 30)
    with pytest.raises(TrainingError, match=rf"{path.name}.* cannot be read"):
        checkpoints(tmp_path).restore(path, model, optimisers)


def flip(path):
    """Flip a bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.fixture
def run_of_three(config, tmp_path):
    """The checkpoints of a run of two epochs, whose first is the best, and two steps of the third."""
    model, optimisers = fresh(config)
    saved = checkpoints(tmp_path, keep=3)
    histories = (History(epochs(0.5)), History(epochs(0.5, 0.6)), History(epochs(0.5, 0.6), (0.5, 0.4)))
    return saved, [saved.save(model, optimisers, history) for history in histories]


@pytest.mark.parametrize("file", ["state.json", "model.safetensors", "optimisers.safetensors", "hashes.json"])
def test_a_flipped_bit_in_the_newest_checkpoint_sends_the_run_back_to_the_one_before(run_of_three, file):
    saved, (_, before, last) = run_of_three
    assert newest_whole(saved.folder) == (last, ())
    flip(last / file)
    found, (fault,) = newest_whole(saved.folder, RUN)
    assert found == before
    assert fault.startswith(f"{last.name}: ")
    said = resume_point(saved.folder, resume=True, table_version=None).description
    assert said == f"continues {before} at epoch 3, step 1; passed over {fault}"


def test_a_flipped_bit_in_the_best_epoch_never_becomes_a_bundle(config, run_of_three):
    """There is then no checkpoint left that a bundle could be made from."""
    saved, (best, *_) = run_of_three
    flip(best / "model.safetensors")
    with pytest.raises(
        TrainingError, match=rf"best weights, .*{best.name}, is damaged: model\.safetensors is not the file"
    ):
        saved.load_best(History(epochs(0.5, 0.6)), fresh(config)[0])
    found, faults = newest_whole(saved.folder)
    assert found is None
    assert len(faults) == 3
    assert "starts from the beginning; passed over " in resume_point(saved.folder, True, None).description


def test_a_checkpoint_without_hashes_is_taken_as_it_is(run_of_three):
    """As earlier versions of the project wrote them."""
    saved, (*_, last) = run_of_three
    (last / "hashes.json").unlink()
    assert newest_whole(saved.folder) == (last, ())


@pytest.mark.lengthy
def test_killed_at_any_file_operation_the_newest_checkpoint_is_whole(config, tmp_path):
    """The writer is killed at its first, second, ... operation on the disk, until it gets through."""
    model, optimisers = fresh(config)
    checkpoints(tmp_path, keep=1).save(model, optimisers, History())
    before = weights(newest(tmp_path))
    learn(model, optimisers, range(2))
    after = History((), (0.5, 0.4))
    outcomes = []
    for through in killed_at_each(lambda: checkpoints(tmp_path, keep=1).save(model, optimisers, after)):
        path = newest(tmp_path)
        steps = read_run_state(path).history.step
        assert steps in (0, 2)
        found = weights(path)
        for name, value in (before if steps == 0 else model.state_dict()).items():
            assert torch.equal(found[name], value)
        outcomes.append((through, steps))
    assert {(False, 0), (False, 2), (True, 2)} == set(outcomes)
    assert [path.name for path in tmp_path.iterdir()] == [newest(tmp_path).name]


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk") as folder:
        yield folder


def test_on_a_full_disk_the_last_checkpoint_stays(config, disk):
    model, optimisers = fresh(config)
    good = checkpoints(disk).save(model, optimisers, History())
    expert = config.model.expert.model_copy(update={"hidden": (300, 300)})
    wide = config.model_copy(update={"model": config.model.model_copy(update={"expert": expert})})
    with pytest.raises(TrainingError) as error:
        checkpoints(disk).save(*fresh(wide), History((), (0.5,)))
    assert "could not be written" in str(error.value)
    assert any(reason in str(error.value) for reason in FULL)
    assert f"--resume continues from {good.name}" in str(error.value)
    assert list(disk.iterdir()) == [good]
    assert checkpoints(disk).restore(good, model, optimisers) == History()


def test_a_draw_depends_on_its_place_only():
    first = draw_rows(1, 2, 3, 100)
    np.testing.assert_array_equal(first, draw_rows(1, 2, 3, 100))
    assert not np.array_equal(first, draw_rows(1, 2, 4, 100))
    assert 0 <= first.min() < first.max() < 1
