"""Checkpoints in an object store: whole or not at all, and training goes on from them as from those of a disk."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from camoe.contracts.errors import TrainingError
from camoe.contracts.files import local_folder
from camoe.contracts.places.objects import path_at
from camoe.train.checkpoint.folder import complete, damage, new_run, remove_all, write_atomically
from camoe.train.checkpoint.history import History
from camoe.train.checkpoint.resume import newest_whole, resume_point
from tests.killed import killed_at_each_request
from tests.paths import ROOT
from tests.train.checkpoint.learner import RUN, checkpoints, epochs, fresh, learn

SAVE = """
import sys
from camoe.contracts.places.objects import path_at
from camoe.train.checkpoint.folder import write_atomically

def write(staging):
    for name in ("state.json", "model.safetensors"):
        (staging / name).write_text(sys.argv[2])

write_atomically(path_at(sys.argv[1]), sys.argv[2], write)
"""


@pytest.fixture
def folder(store, request, tmp_path, monkeypatch):
    monkeypatch.setenv("CAMOE_CACHE", str(tmp_path / "cache"))
    return path_at(f"s3://lake/{request.node.originalname}/checkpoints")


def named(step):
    return f"{RUN}-epoch0000-step{step:08d}"


def test_training_goes_on_bit_for_bit(config, folder):
    model, optimisers = fresh(config)
    learn(model, optimisers, range(4))
    history = History((), (0.3, 0.1 + 0.2), 7.5)
    path = checkpoints(folder).save(model, optimisers, history)
    learn(model, optimisers, range(4, 9))
    other, others = fresh(config, seed=5)
    assert repr(checkpoints(folder).restore(path, other, others)) == repr(history)
    learn(other, others, range(4, 9))
    for name, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name
    said = resume_point(folder, resume=True, table_version=None)
    assert (said.run, said.table_version) == (RUN, 3)
    assert f"continues s3://lake/{folder.parts[2]}/checkpoints/{RUN}-epoch0000-step00000002" in said.description


def test_the_newest_and_the_best_are_kept_and_all_go_with_the_run(config, folder, tmp_path):
    model, optimisers = fresh(config)
    for scores in ((0.9,), (0.9, 0.7), (0.9, 0.7, 0.8), (0.9, 0.7, 0.8, 0.85), (0.9, 0.7, 0.8, 0.85, 0.86)):
        checkpoints(folder).save(model, optimisers, History(epochs(*scores)))
    assert [path.name for path in complete(folder)] == [f"{RUN}-epoch{epoch:04d}-step00000000" for epoch in (2, 4, 5)]
    checkpoints(folder).load_best(History(epochs(0.9, 0.7, 0.8)), model)
    assert new_run(folder) > RUN
    remove_all(folder)
    assert not folder.exists()
    assert not [*tmp_path.rglob("*.safetensors")]


def test_a_damaged_one_is_passed_over(config, folder):
    model, optimisers = fresh(config)
    made = [checkpoints(folder).save(model, optimisers, History((), losses)) for losses in ((0.3,), (0.3, 0.2))]
    (weights,) = made[1].glob("*/model.safetensors")
    weights.exchange(b"other", weights.found()[1])
    assert "model.safetensors is not the file that was written" in damage(made[1])
    last, faults = newest_whole(folder)
    assert last == made[0]
    assert len(faults) == 1
    with pytest.raises(TrainingError, match=r"cannot be read \(.*remove it to use the one before"):
        checkpoints(folder).restore(made[1], model, optimisers)


@pytest.mark.slow
def test_a_writer_that_is_killed_leaves_whole_ones(server, folder):
    def write(staging):
        (staging / "state.json").write_text(named(0))

    write_atomically(folder, named(0), write)
    there = []
    for _ in killed_at_each_request(
        server,
        lambda number: subprocess.Popen([sys.executable, "-c", SAVE, str(folder), named(number + 1)], cwd=ROOT),
    ):
        found = complete(folder)
        there.append(len(found))
        for checkpoint in found:
            assert damage(checkpoint) == ""
            assert (local_folder(checkpoint) / "state.json").read_text() == checkpoint.name
    assert there[0] == 1
    assert there[-1] == there[-2] + 1
