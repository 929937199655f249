"""History features and sequences from the log are added to built days as all others are."""

from __future__ import annotations

import pytest

from camoe.contracts import encoder as encoders
from camoe.contracts.history import History
from camoe.contracts.runs import active_records, stale_days
from camoe.contracts.snapshot import pin
from features.maintenance.history import history_folders
from jobs.add_columns import main
from tests.features import lake
from tests.jobs.in_process import run_main

pytestmark = pytest.mark.slow

KEYS = {"all": [], "user": ["user_id"]}
MORE_KEYS = {**KEYS, "advertiser": {"by": ["campaign.advertiser"], "parent": "all"}}
HISTORY = {"since": lake.DAYS[0], "objectives": ["click"], "windows": ["all", "1d"], "smoothing": "fitted"}
SEEN = {"name": "seen", "sql": "campaign_id", "key": "user", "max_length": 5, "age": True}


def settings(folder, keys=None, sequences=(), numerics=()):
    found = lake.config(folder)
    if keys is not None:
        found["features"]["history"] = {**HISTORY, "keys": keys}
    found["features"]["sequence"] = [*sequences]
    found["features"]["numeric"] += [*numerics]
    return found


def built(folder, **declared):
    lake.write_lake(folder)
    assert lake.run_job(lake.write_config(folder, settings(folder, **declared))) == 0
    return lake.Lake(folder, folder / "config.yaml")


def rows(spark, layout):
    found = spark.read.format("delta").load(str(layout.training)).drop("run_id").collect()
    return {row["impression_id"]: row.asDict() for row in found}


def records_of(layout):
    return active_records(pin(layout.training), layout.runs)


def past(keys):
    return [item.name for item in History.model_validate({**HISTORY, "keys": keys}).features]


ABOVE = {"name": "above", "sql": "features.user_impressions_all - features.plays"}


@pytest.fixture(scope="module")
def whole(spark, tmp_path_factory):
    return built(tmp_path_factory.mktemp("whole"), keys=MORE_KEYS, sequences=[SEEN], numerics=[ABOVE])


def test_a_history_is_added_to_days_that_had_none(spark, whole, tmp_path):
    without = built(tmp_path)
    config = lake.write_config(tmp_path, settings(tmp_path, MORE_KEYS, [SEEN], [ABOVE]))
    names = ",".join([*past(MORE_KEYS), "seen", "above"])
    # Days in another order, each with the history of those before it; training days first.
    for days in (f"{lake.DAYS[0]}..{lake.DAYS[1]}", lake.DAYS[3], lake.DAYS[2]):
        assert run_main(main, config, "--columns", names, "--days", days) == 0
    assert rows(spark, without.layout) == rows(spark, whole.layout)
    assert encoders.read(without.layout.encoder).weights == encoders.read(whole.layout.encoder).weights
    assert stale_days(records_of(without.layout)) == {}
    # The day's build of tomorrow goes on with the history that was counted for it.
    assert lake.run_job(config, "--days", lake.DAYS[3]) == 0
    (folder,) = history_folders(without.layout)
    assert {record.history for record in records_of(without.layout).values()} == {folder.name}
    assert rows(spark, without.layout) == rows(spark, whole.layout)


def test_keys_and_a_sequence_are_added_to_a_history(spark, whole, tmp_path):
    some = built(tmp_path, keys=KEYS)
    before = rows(spark, some.layout)
    config = lake.write_config(tmp_path, settings(tmp_path, MORE_KEYS, [SEEN], [ABOVE]))
    names = ",".join([*(set(past(MORE_KEYS)) - set(past(KEYS))), "seen", "above"])
    assert run_main(main, config, "--columns", names) == 0
    after = rows(spark, some.layout)
    assert after == rows(spark, whole.layout)
    assert before == {one: {name: after[one][name] for name in row} for one, row in before.items()}


def test_a_plain_column_leaves_the_history_as_it_is(spark, tmp_path):
    some = built(tmp_path, keys=KEYS)
    days = {path: path.stat().st_mtime_ns for path in some.layout.history.rglob("days/*.json")}
    assert days
    config = lake.write_config(
        tmp_path, settings(tmp_path, KEYS, numerics=[{"name": "twice", "sql": "2 * user.plays"}])
    )
    assert run_main(main, config, "--columns", "twice") == 0
    assert {path: path.stat().st_mtime_ns for path in some.layout.history.rglob("days/*.json")} == days
