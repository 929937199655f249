"""The KuaiRand configuration on a slice of the real log: rows as counted in pandas, and what a model learns of them."""

from __future__ import annotations

import sys
from typing import NamedTuple

import pandas as pd
import pytest
import yaml

from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from jobs import evaluate, score
from tests.features import lake
from tests.jobs.chains import bar, require_counts, require_each_impression_once
from tests.jobs.commands import run
from tests.paths import KUAIRAND_LOG, ROOT

pytestmark = [pytest.mark.spark, pytest.mark.horovod]

CONFIG = ROOT / "conf/kuairand.yaml"
LEAKS = ("play_time", "long_view", "hourmin", "is_", "stay_time")
TABS = {0, 1, 2, 3, 4, 5, 6, 8, 12}


@pytest.fixture(scope="module")
def log(kuairand):
    """The impressions of one user in 64."""
    rows = pd.read_parquet(kuairand / KUAIRAND_LOG)
    return rows[rows.user_id % 64 == 0]


class Built(NamedTuple):
    """The jobs' command line, what the feature job counted, and the training table."""

    given: list[str]
    counts: dict
    table: pd.DataFrame


@pytest.fixture(scope="module")
def built(spark, kuairand, log, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kuairand")
    raw = folder / "raw"
    raw.mkdir()
    log.to_parquet(raw / KUAIRAND_LOG, index=False)
    for table in ("user_features_pure.csv", "video_features_basic_pure.csv", "user_sequences_before_20220425.parquet"):
        (raw / table).symlink_to(kuairand / table)
    given = [f"input={raw}", f"out={folder / 'out'}"]
    assert lake.run_job(CONFIG, *given) == 0
    table = spark.read.format("delta").load(str(folder / "out/training")).toPandas()
    return Built(["--config", str(CONFIG), *given], lake.counts(folder), table)


@pytest.fixture(scope="module")
def evaluated(built):
    """The output after training, scoring and evaluation."""
    # With other tests beside, two threads would wait for each other in every operation.
    one_thread = ["env", "OMP_NUM_THREADS=1"]
    run([*one_thread, sys.executable, "jobs/train.py", "-np", "1", *built.given, "training.ensemble=1"])
    score.main(["--local", *built.given])
    evaluate.main(built.given)
    return load(CONFIG, Config, built.given[2:])


def test_the_model_beats_the_base_rate(evaluated):
    """By all of the log it has to beat the slot's rate as well: tests/jobs/test_bars.py."""
    figures = bar(evaluated.out)["valid_play"]
    assert figures["ne_model"] < figures["ne_base"]


def test_counts_add_up_and_three_workers_get_each_impression_once(evaluated):
    require_counts(evaluated.out)
    require_each_impression_once(evaluated)


def test_rows_per_day_and_slot_are_those_of_the_time_stamps(built, log):
    counts = built.counts
    local = pd.to_datetime(log.time_ms, unit="ms") + pd.Timedelta(hours=8)
    rows = log.assign(day=local.dt.date.astype(str))
    inside = rows[rows.day >= "2022-04-25"]
    taken = inside[inside.tab.isin(TABS)]
    groups = taken.groupby(["user_id", "video_id", "time_ms"])[["tab", "is_click"]].nunique().max(axis=1)
    contradicting = taken.set_index(["user_id", "video_id", "time_ms"]).index.isin(groups[groups > 1].index)
    unique = taken[~contradicting].drop_duplicates(["user_id", "video_id", "time_ms"])
    expected = unique.groupby(["day", "tab"]).size()
    found = {
        (day, slot): number for day, slots in counts["rows_per_day_and_slot"].items() for slot, number in slots.items()
    }
    assert found == {(day, f"tab_{tab}"): number for (day, tab), number in expected.items()}
    assert counts["read"] == len(log)
    assert counts["excluded"]["other_tabs"] == (~rows.tab.isin(TABS)).sum()
    assert counts["duplicates"] == len(taken) - contradicting.sum() - len(unique)


def test_labels_are_the_logs_and_every_user_and_video_is_known(built, log):
    counts, table = built.counts, built.table
    keys = log.user_id.astype(str) + "-" + log.video_id.astype(str) + "-" + log.time_ms.astype(str)
    for objective, column in (("click", "is_click"), ("long_view", "long_view"), ("is_like", "is_like")):
        logged = dict(zip(keys, log[column], strict=True))
        assert (table[f"label_{objective}"] == table.impression_id.map(logged)).all()
    matched = counts["matched"]
    assert matched.pop("earlier") > 0.98
    assert matched == {"user": 1.0, "video": 1.0}


def test_what_is_known_only_after_the_impression_is_in_no_mapping():
    for name in ("sources", "features"):
        settings = yaml.safe_load((ROOT / f"conf/{name}/kuairand.yaml").read_text())
        if name == "sources":
            assert set(settings["impressions"].pop("labels")) == set(settings.pop("objectives"))
        else:
            # Labels of impressions before; tests of the history hold that they are known by then.
            assert settings["history"].pop("objectives") == ["click", "long_view"]
        text = str(settings).replace("is_live_streamer", "").replace("is_video_author", "")
        assert not [leak for leak in LEAKS if leak in text]


def test_the_two_modalities_are_taps_and_valid_plays(built):
    table = built.table
    modalities = table.groupby("slot").modality.unique().map(list).to_dict()
    taps = {"tab_0", "tab_3", "tab_8", "tab_12"}
    assert modalities == {slot: ["tap"] if slot in taps else ["valid_play"] for slot in modalities}
