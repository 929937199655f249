"""What each model on the way is worth and costs: on the same rows, paired with the source."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from torch.utils.flop_counter import FlopCounterMode

from camoe.bundle.manifest import open_bundle
from camoe.bundle.model import read_module
from camoe.compress.run import Stage
from camoe.config.pipeline import Config
from camoe.contracts.snapshot import Snapshot, logged, opened
from camoe.metrics.comparison import Difference, Sampled, differences, sampled
from camoe.metrics.config import EvaluationConfig
from camoe.metrics.histogram import Histogram, Ints
from camoe.metrics.state import State
from camoe.metrics.table import ALL, MODEL, StateKey
from camoe.model.ensemble import Model
from camoe.model.loss import masking_of
from camoe.model.spec import ModelSpec
from camoe.score.graph_inputs import GraphInputs, block_inputs
from camoe.score.scorer import Scorer, read_model
from camoe.stream.api import all_rows, model_columns
from camoe.study.network import score

# Rows that time is taken of, and how often; the least of them counts, as what else runs only adds.
TIMED_ROWS = 32_768
ROUNDS = 7
COMPARED = ("auc_pr", "ne", "ece")


@dataclass(frozen=True)
class Measured:
    """A stage: weights, multiplications and microseconds of a processor a row, and by group its metrics.

    `differences`, by group and metric, are those from the source.
    """

    stage: Stage
    version: str
    parameters: int
    multiplications: float
    microseconds: float
    groups: Mapping[str, Sampled]
    differences: Mapping[tuple[str, str], Difference]


def measured(config: Config, version: int, stages: Sequence[Stage], days: Collection[date]) -> list[Measured]:
    """Return what the rows of `days` tell of each of `stages`, of which the first is the one to compare with.

    Raises:
        CamoeError: as scoring does.
    """
    snapshot = opened(logged(config.training_table, version), days).on(days)
    bundles = [open_bundle(stage.bundle) for stage in stages]
    inputs = _inputs(snapshot, bundles[0].spec)
    times = _microseconds([Scorer(read_model(stage.bundle)) for stage in stages], inputs)
    found = list[Measured]()
    for stage, bundle, microseconds in zip(stages, bundles, times, strict=True):
        rows = pd.concat(score(config, version, days, stage.bundle), ignore_index=True)
        groups, model = _groups(rows, bundle.spec, config.evaluation), read_module(bundle)
        source = found[0].groups if found else groups
        found.append(
            Measured(
                stage, bundle.manifest.model_version, sum(weight.numel() for weight in model.parameters()),
                multiplications(model, bundle.spec, inputs), microseconds, groups, _differences(groups, source),
            )
        )  # fmt: skip
    return found


def _groups(rows: pd.DataFrame, spec: ModelSpec, settings: EvaluationConfig) -> dict[str, Sampled]:
    """Return the metrics of all rows of the first objective, and of each head's."""
    first = spec.heads.objectives[0]
    parts = {ALL: rows[rows["objective"] == first]}
    parts |= {head.name: rows[rows["head"] == head.name] for head in spec.heads.heads}
    return {
        name: sampled(
            State.of(Histogram.from_rows(own["p"], own["label"], own["bucket"], settings.user_buckets)), settings
        )
        for name, own in parts.items()
    }


def _differences(ours: Mapping[str, Sampled], theirs: Mapping[str, Sampled]) -> dict[tuple[str, str], Difference]:
    return {
        (name, one.metric): one
        for name, own in ours.items()
        for one in differences(StateKey("", "head", name, MODEL), own, theirs[name], "source")
        if one.metric in COMPARED
    }


def _inputs(snapshot: Snapshot, spec: ModelSpec) -> GraphInputs:
    """Read `TIMED_ROWS` rows, or all where there are fewer, of all slots in their proportions."""
    columns = model_columns(spec.features, ())
    with contextlib.closing(all_rows(snapshot, columns, min(TIMED_ROWS, snapshot.rows))) as blocks:
        inputs = block_inputs(next(blocks))
        return replace(inputs, numeric=inputs.numeric.copy())


def _microseconds(scorers: Sequence[Scorer], inputs: GraphInputs) -> list[float]:
    """Return the processor's time a row of each, the least of `ROUNDS` that they take in turns."""
    rows = len(inputs.slot)
    carried, least = pa.table({"row": np.arange(rows)}), [float("inf")] * len(scorers)
    for _ in range(ROUNDS):
        for place, scorer in enumerate(scorers):
            started = time.process_time()
            scorer.predict_inputs(inputs, carried)
            least[place] = min(least[place], time.process_time() - started)
    return [1e6 * seconds / rows for seconds in least]


def multiplications(model: Model, spec: ModelSpec, inputs: GraphInputs) -> float:
    """Count the multiplications a row of all products of matrices, each row by the heads that serve it."""
    total = 0
    for head, own in _served(spec, inputs):
        given = [torch.from_numpy(of[own]) for of in (inputs.categorical, inputs.numeric, inputs.sequences)]
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model.head_logits([head], *given)
        total += counter.get_total_flops() // 2
    return total / len(inputs.slot)


def _served(spec: ModelSpec, inputs: GraphInputs) -> Iterator[tuple[int, Ints]]:
    """Yield each head that serves some of the rows, and which."""
    masking = masking_of(spec, adaptive=True)
    cells = masking.cells(torch.from_numpy(inputs.slot), torch.from_numpy(inputs.categorical))
    served = masking.served[cells].numpy()
    for head in range(served.shape[1]):
        if served[:, head].any():
            yield head, np.flatnonzero(served[:, head])
