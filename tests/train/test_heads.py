"""Every shipped heads file trains by configuration alone."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from camoe.config import Config
from camoe.contracts.config_file import load
from camoe.stream.columns import model_columns
from camoe.stream.ledger import Ledger
from camoe.stream.stream import Reading, stream
from camoe.train.feed import DataPlan
from camoe.train.inputs import open_inputs
from camoe.train.run import make_learner, model_spec
from camoe.train.watchdog import Watchdog
from camoe.train.workers import join_workers
from tests.conftest import ROOT
from tests.train.pipeline import CONFIG, write_pipeline

SLOTS = yaml.safe_load((ROOT / "conf/slots/streaming.yaml").read_text())
# One slot has no row in most batches.
ROWS = {slot["id"]: 5 if slot["id"] == "podcast_video" else 40 + number for number, slot in enumerate(SLOTS["slots"])}
OBJECTIVES = ("click", "completion", "conversion")
LOG = CONFIG["sources"]["impressions"] | {"labels": {name: name for name in OBJECTIVES}}


def config_of(folder, name):
    path = write_pipeline(
        folder,
        ROWS,
        slots=SLOTS,
        heads=str(ROOT / f"conf/heads/{name}.yaml"),
        sources={"impressions": LOG, "objectives": {objective: {} for objective in OBJECTIVES}},
        training=CONFIG["training"] | {"epochs": 1},
    )
    return load(path, Config)


@pytest.mark.parametrize("name", ["single", "modality", "content", "slot", "multi_objective"])
def test_every_head_of_a_shipped_file_learns(tmp_path, name):
    config, workers = config_of(tmp_path, name), join_workers()
    inputs = open_inputs(config)
    data = DataPlan(inputs.train, inputs.validation, model_columns(config.features, config.heads.objectives))
    watchdog = Watchdog(workers.world, config.training.stall_timeout_s, tmp_path)
    learner = make_learner(config, model_spec(config, inputs.encoder), data, workers, watchdog)
    before = [tower.logit.bias.item() for tower in learner.model.body.towers]
    blocks = stream(data.epoch(config.training, 0), data.columns, workers.world, Reading(1), ledger=Ledger())
    losses = [learner.step(block) for block in blocks]
    assert len(losses) > 5
    assert np.isfinite(losses).all()
    assert len(before) == len(config.heads.heads)
    # Only rows of a head's own move the last bias of its tower: no weight decay falls on it.
    assert all(tower.logit.bias.item() != was for tower, was in zip(learner.model.body.towers, before, strict=True))
