"""The project's own models, trained as jobs/train.py trains them, with one worker in this process."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from bench.ranking.rows import Days, Floats, Rows
from camoe.config.model import CamoeConfig, CommonConfig, DcnConfig, MlpConfig, SharedBottomConfig
from camoe.config.pipeline import Config
from camoe.contracts.encoder import Encoder
from camoe.model.parameters import body_parameters, with_matched_parameters
from camoe.stream.reading.columns import model_columns
from camoe.train.assemble import make_train_step
from camoe.train.checkpoint.checkpoint import Checkpoints
from camoe.train.checkpoint.history import History
from camoe.train.data.training_inputs import TrainingInputs
from camoe.train.distributed.workers import join_workers
from camoe.train.loop.feed import Feed, TrainingData
from camoe.train.loop.fit import TrainingRun, fit
from camoe.train.loop.step import TrainStep
from camoe.train.spec import model_spec
from camoe.train.supervision.watchdog import Watchdog

BATCH = 8192


def variants(config: Config, single: Config, encoder: Encoder) -> dict[str, Config]:
    """Return each network's configuration: that of `config`, and what changes one thing of it each.

    `one_head` learns as `single` does, one head for all slots; `no_masking` lets every head learn from all rows;
    `mlp_experts` have as many parameters as the crosses' and none of these; `shared_bottom` has neither experts nor
    gates, and as many parameters.
    """
    camoe = config.model
    assert isinstance(camoe, CamoeConfig)
    assert isinstance(camoe.expert, DcnConfig)
    size = sizes({"camoe": config}, encoder)["camoe"]
    hidden = camoe.expert.hidden
    mlp = camoe.model_copy(update={"expert": MlpConfig(kind="mlp", hidden=hidden), "match_parameters": size})
    common = camoe.model_dump(include=set(CommonConfig.model_fields)) | {"match_parameters": size}
    bottom = SharedBottomConfig(kind="shared_bottom", hidden=hidden, **common)
    unmasked = config.training.model_copy(update={"mask": False})
    return {
        "camoe": config,
        "one_head": single,
        "no_masking": config.model_copy(update={"training": unmasked}),
        "mlp_experts": config.model_copy(update={"model": mlp}),
        "shared_bottom": config.model_copy(update={"model": bottom}),
    }


def sizes(by_name: Mapping[str, Config], encoder: Encoder) -> dict[str, int]:
    """Return each network's parameters beside the embeddings, which are the same for all."""
    specs = {
        name: with_matched_parameters(model_spec(one.model, one.features, one.heads, one.slots, encoder))
        for name, one in by_name.items()
    }
    return {name: body_parameters(spec.model, spec) for name, spec in specs.items()}


def with_rates(config: Config, factor: float, seed: int) -> Config:
    """Return the configuration with both learning rates times `factor`, and `seed`."""
    training = config.training
    update = {
        "learning_rate": training.learning_rate * factor,
        "embedding_learning_rate": training.embedding_learning_rate * factor,
        "seed": seed,
    }
    return config.model_copy(update={"training": training.model_copy(update=update)})


def train(config: Config, inputs: TrainingInputs, days: Days) -> tuple[Floats, Floats]:
    """Train, and return the validation and the test rows' probabilities, by the head that serves the row's slot."""
    objectives = config.heads.objectives
    data = TrainingData(inputs.train, inputs.validation, model_columns(config.features, objectives))
    workers, timeout_s = join_workers(), config.training.stall_timeout_s
    names = tuple(head.name for head in config.heads.heads)
    with tempfile.TemporaryDirectory() as home, Watchdog(workers.world, timeout_s, Path(home)) as watchdog:
        spec = model_spec(config.model, config.features, config.heads, config.slots, inputs.encoder)
        train_step = make_train_step(config.training, spec, data, workers, watchdog)
        checkpoints = Checkpoints(Path(home) / "checkpoints", "bench", {}, 1)
        feed = Feed(data, config.training, train_step.workers.world, watchdog.note)
        with feed.opened(History()) as first:
            fit(TrainingRun(train_step, feed, checkpoints, watchdog, names, (), Path(home)), first)
    served = serving(config)
    return score(train_step, days.validation, served), score(train_step, days.test, served)


def serving(config: Config) -> dict[int, int]:
    """Map slot ids to the number of the head that serves the first objective there."""
    names = [head.name for head in config.heads.heads]
    objective = config.heads.objectives[0]
    heads = {number: config.heads.serving_head(slot, objective) for number, slot in enumerate(config.slots.slots)}
    return {number: names.index(head.name) for number, head in heads.items() if head is not None}


def score(train_step: TrainStep, rows: Rows, served: dict[int, int]) -> Floats:
    """Return `[N]` probabilities, not calibrated."""
    model = train_step.model.eval()
    head = np.array([served[slot] for slot in range(len(served))])[rows.slot]
    parts = []
    with torch.inference_mode():
        for first in range(0, len(rows.slot), BATCH):
            part = slice(first, first + BATCH)
            inputs = (torch.from_numpy(values[part]) for values in (rows.categorical, rows.numeric, rows.sequences))
            logits, _ = model(*inputs)
            parts.append(torch.sigmoid(logits).numpy())
    p: Floats = np.concatenate(parts).astype(np.float64)[np.arange(len(head)), head]
    return p
