"""Every shipped heads file trains by configuration alone, and what comes of it scores."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import yaml

from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.stream.ledger import Ledger
from camoe.stream.stream import ReadOptions, stream
from tests.paths import ROOT
from tests.predicted import expected, served
from tests.train.fitting import fresh_learner
from tests.train.pipeline import CONFIG, write_pipeline

# Slots that heads files are for whose names begin like them; `streaming` for the others.
CATALOGUES = ("kuairand", "taobao")


def config_of(folder, name):
    catalogue = next((one for one in CATALOGUES if name.startswith(one)), "streaming")
    slots = yaml.safe_load((ROOT / f"conf/slots/{catalogue}.yaml").read_text())["slots"]
    heads = ROOT / f"conf/heads/{name}.yaml"
    objectives = {head["objective"]: {} for head in yaml.safe_load(heads.read_text())["heads"]}
    log = CONFIG["sources"]["impressions"] | {"labels": {objective: objective for objective in objectives}}
    path = write_pipeline(
        folder,
        # The last slot has no row in most batches.
        {slot["id"]: 5 if slot is slots[-1] else 400 // len(slots) for slot in slots},
        slots={"slots": slots},
        heads=str(heads),
        sources={"impressions": log, "objectives": objectives},
        training=CONFIG["training"] | {"epochs": 1},
    )
    return load(path, Config)


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "conf/heads").glob("*.yaml")))
def test_every_head_of_a_shipped_file_learns(tmp_path, name):
    config = config_of(tmp_path, name)
    train_step, data = fresh_learner(config)
    before = [tower.logit.bias.item() for tower in train_step.model.body.towers]
    blocks = stream(
        data.epoch(config.training, 0), data.columns, train_step.workers.world, ReadOptions(1), ledger=Ledger()
    )
    losses = [train_step.step(block).loss for block in blocks]
    assert len(losses) > 5
    assert np.isfinite(losses).all()
    assert len(before) == len(config.heads.heads)
    # Only rows of a head's own move the last bias of its tower: no weight decay falls on it.
    assert all(tower.logit.bias.item() != was for tower, was in zip(train_step.model.body.towers, before, strict=True))


@pytest.mark.slow
@pytest.mark.horovod
@pytest.mark.parametrize("name", ["single", "modality", "content", "slot", "multi_objective"])
def test_a_shipped_file_goes_from_training_through_the_bundle_to_predictions(tmp_path, name):
    """By the jobs alone: the rows of the test day are predicted by each head that serves their slot."""
    config = config_of(tmp_path, name)
    for job in (["jobs/train.py", "-np", "2"], ["jobs/score.py", "--local"]):
        command = [sys.executable, *job, "--config", tmp_path / "pipeline.yaml"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    graphs = {path.name for path in config.layout.bundle.glob("*.onnx")}
    assert graphs == {f"head-{head.name}.onnx" for head in config.heads.heads}
    assert served(config) == expected(config)
