"""Several objectives, end to end on the lakes that their heads files are for, by the commands of the README."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest

from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.contracts.schema import label_column
from camoe.contracts.snapshot import pin
from tests.jobs.commands import run, spark_job
from tests.paths import ROOT
from tests.predicted import expected, predictions, rows_of, served

pytestmark = [pytest.mark.spark, pytest.mark.horovod]


@dataclass(frozen=True)
class Chain:
    """What a chain of jobs was run with, and the heads that must be better than their base rate."""

    config: Config
    better: frozenset[str]


def chain(config, heads, *overrides, better):
    given = ["--config", f"conf/{config}.yaml", f"heads=conf/heads/{heads}.yaml", *overrides]
    spark_job("build_features", *given)
    run(["python", "jobs/train.py", "-np", "2", *given])
    for job in ("score", "evaluate"):
        spark_job(job, *given)
    return Chain(load(ROOT / f"conf/{config}.yaml", Config, given[2:]), frozenset(better))


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory):
    out = f"out={tmp_path_factory.mktemp('synthetic')}"
    spark_job("make_lake", out)
    # About 50 conversions a day are too few to say anything of.
    return chain("synthetic", "multi_objective", out, better={"audio", "video", "video_completion"})


@pytest.fixture(scope="module")
def real_logs(kuairand, tmp_path_factory):
    place = (f"out={tmp_path_factory.mktemp('kuairand')}", f"input={kuairand}")
    return chain("kuairand", "kuairand_multi_objective", *place, better={"valid_play", "long_view"})


@pytest.fixture(params=["synthetic", "real_logs"])
def lake(request):
    return request.getfixturevalue(request.param)


def read(lake, name):
    return json.loads((lake.config.out / name).read_text())


@pytest.mark.slow
def test_each_objective_is_predicted_in_the_slots_that_it_serves_and_in_no_other(lake):
    assert served(lake.config) == expected(lake.config)


@pytest.mark.slow
def test_each_head_is_calibrated_by_the_rows_whose_label_is_known_where_there_are_enough(lake):
    table = rows_of(pin(lake.config.layout.training).on(lake.config.days.validation.days()))
    enough = lake.config.calibration.min_per_class
    found, scored = read(lake, "bundle/calibration.json"), predictions(lake.config)
    for head in lake.config.heads.heads:
        slots = [slot.id for slot in lake.config.slots.slots if head.owns(slot)]
        labels = table.loc[table["slot"].isin(slots), label_column(head.objective)].dropna()
        fitted = found[head.name]
        assert (fitted["rows"], fitted["positives"]) == (len(labels), labels.sum()), head.name
        calibrated = min(labels.sum(), len(labels) - labels.sum()) >= enough
        assert (fitted["reason"] is None) == calibrated, head.name
        own = scored[scored["head"] == head.name]
        assert np.allclose(own["p"], own["p_raw"], rtol=0, atol=1e-7) == (not calibrated), head.name


@pytest.mark.slow
def test_heads_with_labels_enough_are_better_than_their_base_rate(lake):
    ne = {
        row["group"]: row["ne"]
        for row in read(lake, "report/metrics.json")["rows"]
        if (row["group_kind"], row["predictor"]) == ("head", "model")
    }
    assert set(ne) == {head.name for head in lake.config.heads.heads}
    assert all(ne[name] < 1 for name in lake.better), ne
