"""A trial of one of the project's models: trained by one worker in this process, scored by the graphs it exports."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from camoe.bundle.manifest import METRICS, Manifest, open_bundle
from camoe.bundle.versions import named_by
from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.contracts.errors import CamoeError
from camoe.contracts.runs import active_records
from camoe.contracts.snapshot import Snapshot, logged, opened
from camoe.metrics.user_buckets import user_buckets
from camoe.model.parameters import body_parameters
from camoe.score.graph_inputs import block_inputs
from camoe.score.scorer import Scorer, ScoringModel, read_model, require_fit
from camoe.stream.api import Block, World, all_rows, model_columns
from camoe.study.rows import BATCH, USER
from camoe.study.states import labels
from camoe.study.trial import Task
from camoe.train.checkpoint.resume import resume_point
from camoe.train.data.training_inputs import open_training_inputs
from camoe.train.loop.progress import SCORE
from camoe.train.run import run_worker
from camoe.train.spec import model_spec
from camoe.train.supervision.heartbeats import worker_folder
from camoe.train.supervision.watchdog import Watchdog
from camoe.train.worker import LOADING_S

# No other worker waits for this one, and trials that share a machine wait for its cores.
STALLED_S = 3600


class GivenUpError(CamoeError):
    """A trial validates worse than the median of those before it; `scores` are those of its validations, by step."""

    def __init__(self, message: str, scores: Mapping[int, float]) -> None:
        super().__init__(message)
        self.scores = dict(scores)


@dataclass
class Judge:
    """A tracker that keeps the scores of validations by step, and gives up above the `medians` of earlier trials."""

    medians: Mapping[int, float]
    scores: dict[int, float] = field(default_factory=dict)

    def scalars(self, figures: Mapping[str, float], step: int) -> None:
        """See `Tracker`."""
        if SCORE not in figures:
            return
        self.scores[step] = figures[SCORE]
        if figures[SCORE] > self.medians.get(step, figures[SCORE]):
            found, bound = figures[SCORE], self.medians[step]
            raise GivenUpError(f"after {step} steps: {found:.5f}, above the median {bound:.5f}", self.scores)

    def finish(self, bundle: Path, manifest: Manifest, rows: Sequence[Mapping[str, Any]]) -> None:
        """See `Tracker`."""

    def fail(self) -> None:
        """See `Tracker`."""


def train(task: Task, config: Config) -> Judge:
    """Train the model of `task`, from its newest checkpoint where an earlier process was killed, into a bundle.

    Raises:
        GivenUpError: see `Judge`.
        CamoeError: as `run_worker` does.
    """
    begin, judge = resume_point(config.layout.checkpoints, True, task.table_version), Judge(task.medians)
    with watched(config) as watchdog:
        run_worker(config, watchdog, task.table_version, begin.run, (judge,))
    return judge


def watched(config: Config) -> Watchdog:
    """Return a watch over the training of `config` by this process alone."""
    timeout_s = max(config.training.stall_timeout_s, STALLED_S)
    return Watchdog(World(0, 1), timeout_s, worker_folder(config.layout.logs), LOADING_S)


def matched(task: Task, config: Config) -> Config:
    """Return `config` with as many parameters as the variant of `task.matched` has, where there is one."""
    if task.matched is None:
        return config
    wanted = parameters(load(task.config, Config, task.matched), task.table_version)
    return config.model_copy(update={"model": config.model.model_copy(update={"match_parameters": wanted})})


def parameters(config: Config, table_version: int) -> int:
    """Count the parameters beside the embeddings of the model of `config`."""
    encoder = open_training_inputs(config, table_version).encoder
    spec = model_spec(config.model, config.model_features, config.heads, config.slots, encoder)
    return body_parameters(spec.model, spec)


def validations(config: Config) -> tuple[float, dict[int, float]]:
    """Return the score of the validation whose weights the bundle has, and those of all of its first model, by step."""
    metrics = json.loads(open_bundle(named_by(config.layout.bundle)).read(METRICS))
    found: dict[int, float] = {}
    before = 0
    for epoch in metrics["epochs"]:
        steps = before + len(epoch["losses"])
        found |= {before + check["step"]: check["validation_score"] for check in epoch["checks"]}
        found[steps], before = epoch["validation_score"], steps
    return metrics["best"]["validation_score"], found


def score(config: Config, version: int, days: Collection[date], bundle: Path | None = None) -> Iterator[pd.DataFrame]:
    """Yield the rows of `days` as a `bundle` scores them (default: that of `config`), a day at a time.

    See `states_of` for the columns.

    Raises:
        BundleError, SnapshotError, StreamError: as `camoe.score.local.score_snapshot` does.
    """
    model = read_model(bundle or named_by(config.layout.bundle))
    table = logged(config.training_table, version)
    snapshot = opened(table, days).on(days)
    require_fit(model, snapshot, active_records(table, config.layout.runs))
    scorer = Scorer(model)
    for day in sorted(days):
        yield _scored(scorer, model, snapshot.on([day]), config.evaluation.user_buckets).assign(date=day.isoformat())


def _scored(scorer: Scorer, model: ScoringModel, snapshot: Snapshot, buckets: int) -> pd.DataFrame:
    objectives = model.spec.heads.objectives
    columns = model_columns(model.spec.features, objectives, keys=(USER,))
    with contextlib.closing(all_rows(snapshot, columns, BATCH)) as blocks:
        parts = [
            scorer.predict_inputs(block_inputs(block), _carried(block, objectives)).to_pandas() for block in blocks
        ]
    rows = pd.concat(parts, ignore_index=True)
    names = np.array([slot.id for slot in model.spec.slots.slots], dtype=object)
    known = {name: rows[f"label:{name}"] for name in objectives}
    label = np.select([rows["objective"] == name for name in objectives], list(known.values()), np.nan)
    scored: pd.DataFrame = rows[["objective", "head", "p", "p_raw"]].assign(
        slot=names[rows["slot"].to_numpy()], label=label, bucket=user_buckets(rows["user"].to_numpy(), buckets)
    )
    return scored


def _carried(block: Block, objectives: Sequence[str]) -> pa.Table:
    known = {f"label:{name}": pa.array(labels(block.labels[:, place])) for place, name in enumerate(objectives)}
    return pa.table({"slot": pa.array(block.slot.copy()), "user": pa.array(block.keys[0]), **known})
