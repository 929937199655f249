"""Every shipped heads file trains by configuration alone."""

from __future__ import annotations

import copy

import numpy as np
import pyarrow as pa
import pytest
import torch
import yaml

from camoe.config import Config
from camoe.contracts.config_file import load
from camoe.score.scorer import Scorer, read_model
from camoe.stream.columns import model_columns
from camoe.stream.ledger import Ledger
from camoe.stream.stream import Reading, stream
from camoe.train.fit import DataPlan
from camoe.train.inputs import open_inputs
from camoe.train.run import make_learner, model_spec, run_worker
from camoe.train.workers import join_workers
from tests.conftest import ROOT
from tests.train.pipeline import CONFIG, VALUES, write_pipeline

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
    learner = make_learner(config, model_spec(config, inputs.encoder), data, workers)
    before = copy.deepcopy(learner.model).eval()
    blocks = stream(data.epoch(config.training, 0), data.columns, workers.world, Reading(1), ledger=Ledger())
    losses = [learner.step(block) for block in blocks]
    assert len(losses) > 5
    assert np.isfinite(losses).all()
    rows = torch.arange(len(VALUES))[:, None], torch.ones(len(VALUES), 1, dtype=torch.float64)
    with torch.inference_mode():
        moved = (learner.model.eval()(*rows)[0] - before(*rows)[0]).abs().amax(dim=0)
    assert len(moved) == len(config.heads.heads)
    assert (moved > 1e-3).all()


@pytest.mark.slow
def test_an_objective_is_predicted_where_it_has_a_head_and_nowhere_else(tmp_path):
    config = config_of(tmp_path, "multi_objective")
    run_worker(config)
    slots = [slot.id for slot in config.slots.slots]
    genre, tenure = np.arange(len(slots), dtype=np.int32), np.ones(len(slots), dtype=np.float32)
    rows = pa.table({"slot": slots, "cat_genre": genre, "num_tenure": tenure})
    scorer = Scorer(read_model(config.layout.bundle))
    for objective in OBJECTIVES:
        known = ~np.isnan(scorer.predict(rows, objective))
        assert known.tolist() == [objective in config.heads.served(slot) for slot in config.slots.slots]
