"""The bars that the whole chain has to clear, on the default lake and on all of the real logs."""

from __future__ import annotations

import sys

import pytest

from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from tests.jobs.chains import bar, require_counts, require_each_impression_once, require_files
from tests.jobs.commands import run
from tests.paths import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.spark, pytest.mark.horovod]


def demo(*arguments):
    run([sys.executable, "jobs/demo.py", *arguments])


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory):
    out = tmp_path_factory.mktemp("synthetic")
    demo(f"out={out}", "--lake", "conf/lake/default.yaml")
    return load(ROOT / "conf/synthetic.yaml", Config, [f"out={out}"])


@pytest.fixture(scope="module")
def real_logs(kuairand, tmp_path_factory):
    given = [f"out={tmp_path_factory.mktemp('kuairand')}", f"input={kuairand}"]
    demo("--config", "conf/kuairand.yaml", *given)
    return load(ROOT / "conf/kuairand.yaml", Config, given)


def test_the_model_closes_half_of_the_distance_to_the_truth_in_each_modality(synthetic):
    found = bar(synthetic.out)
    assert set(found) == {"audio", "video"}
    for modality, figures in found.items():
        assert figures["gap_closed"] >= 0.5, (modality, figures)


def test_on_real_logs_the_model_beats_the_base_rate_and_the_slot(real_logs):
    found = bar(real_logs.out)
    assert found["valid_play"]["ne_model"] < 1
    for modality in ("tap", "valid_play"):
        assert found[modality]["auc_model"] > found[modality]["auc_slot_rate"], modality


@pytest.mark.parametrize("lake", ["synthetic", "real_logs"])
def test_every_row_is_accounted_for_from_the_lake_to_the_report(lake, request):
    config = request.getfixturevalue(lake)
    require_counts(config.out)
    require_each_impression_once(config)
    require_files(config.out)
    assert (config.out / "logs/train.log").is_file()
