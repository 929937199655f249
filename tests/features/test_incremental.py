"""Days built one by one, again, and after their inputs changed: only what must change changes, and all of it."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta

import pytest

from camoe.config.pipeline import Config
from camoe.contracts import encoder as encoders
from camoe.contracts.config_file import load
from camoe.contracts.encoder import EncoderError
from camoe.contracts.layout import Layout
from camoe.contracts.runs import RunError, active_runs
from camoe.contracts.snapshot import pin
from camoe.train.data.training_inputs import open_training_inputs
from features.incremental import without_built
from features.tables.side import days_of_runs
from tests.features import lake

DAYS = tuple(date.fromisoformat(text) for text in lake.DAYS)


def dirty():
    """The clean lake, a bad row a day, one of no day, and an advertiser seen once on each training day."""
    clean = lake.impressions()
    firsts = clean[:: lake.ROWS_A_DAY]
    bad = [{**row, "id": f"bad{day}", "user": None} for day, row in enumerate(firsts)]
    rare = [{**row, "id": f"rare{day}", "campaign": "c9"} for day, row in enumerate(firsts[:2])]
    return [*clean, *bad, *rare, {**clean[0], "id": "never", "ts": "noon"}]


CAMPAIGNS = [*lake.campaigns(), {"campaign": "c9", "advertiser": "a9"}]


@pytest.fixture(scope="module")
def whole(spark, tmp_path_factory):
    """All days built by one run."""
    folder = tmp_path_factory.mktemp("whole")
    assert lake.run_job(lake.write_lake(folder, impressions=dirty(), campaigns=CAMPAIGNS)) == 0
    return Layout(folder / "out")


# The days of each run.
RUNS = {"d0": DAYS[:1], "d1": DAYS[1:]}
BUILT_BY = {day: run for run, days in RUNS.items() for day in days}


@pytest.fixture(scope="module")
def daily(spark, tmp_path_factory):
    """The first day built by a run of its own, and the others by the next."""
    folder = tmp_path_factory.mktemp("daily")
    config = lake.write_lake(folder, impressions=dirty(), campaigns=CAMPAIGNS)
    for run, days in RUNS.items():
        assert lake.run_job(config, "--days", f"{days[0]}..{days[-1]}", "--run-id", run) == 0
    return lake.Lake(folder, config)


def test_what_is_missing_is_what_the_table_lacks(daily, tmp_path):
    training, later = daily.layout.training, DAYS[-1] + timedelta(days=1)
    assert without_built(training, (later, *DAYS)) == (later,)
    assert without_built(tmp_path / "none", DAYS) == DAYS
    version = pin(training).version
    assert lake.run_job(daily.config, "--missing") == 0
    assert pin(training).version == version


def meaning(spark, layout):
    """The table's rows with each category as its value, so that encoders can be compared."""
    encoder = encoders.read(layout.encoder)
    found = {}
    for row in spark.read.format("delta").load(str(layout.training)).collect():
        values = row.asDict()
        del values["run_id"], values["label_as_of"]
        for name, known in encoder.values.items():
            index = values[f"cat_{name}"]
            values[f"cat_{name}"] = known[index - encoders.FIRST] if index >= encoders.FIRST else index
        found[row.impression_id] = values
    return found


def files(layout, days):
    return {file.path for file in pin(layout.training).files if file.day in days}


def versions(layout):
    return [
        pin(layout.training).version,
        days_of_runs(layout.quarantine),
        days_of_runs(layout.profiles),
        layout.counts.read_text(),
    ]


def test_days_built_one_by_one_have_the_rows_and_the_vocabularies_of_days_built_at_once(spark, whole, daily):
    layout = daily.layout
    assert active_runs(pin(layout.training)) == BUILT_BY
    one_by_one, at_once = (encoders.read(made.encoder).values for made in (layout, whole))
    assert {name: set(values) for name, values in one_by_one.items()} == {
        name: set(values) for name, values in at_once.items()
    }
    # Once a day: only the sum over the training days reaches its min_count of 2.
    assert "a9" in one_by_one["advertiser"]
    found, expected = meaning(spark, layout), meaning(spark, whole)
    assert found["rare0"].pop("cat_advertiser") == encoders.UNKNOWN
    assert expected["rare0"].pop("cat_advertiser") == "a9"
    assert found == expected


def test_the_quarantine_holds_the_rejected_rows_of_the_active_runs(spark, daily):
    assert {(row.date, row.run_id, row.impression_id) for row in lake.quarantine(spark, daily.folder)} == {
        *((day, BUILT_BY[day], f"bad{number}") for number, day in enumerate(DAYS)),
        (None, "d1", "never"),
    }


def test_a_run_that_has_committed_is_not_run_again(daily, capfd):
    config, layout = daily.config, daily.layout
    before = versions(layout)
    assert lake.run_job(config, "--days", lake.DAYS[0], "--run-id", "d0") == 0
    assert "run d0 has committed its days already" in capfd.readouterr().out
    for other, what in (
        (("--days", lake.DAYS[1]), "days"),
        (("--days", lake.DAYS[0], "--as-of", "2026-02-01"), "as-of time"),
        (("--days", lake.DAYS[0], "days.zone=UTC", "days.as_of=2026-01-05T00:00:00Z"), "settings"),
    ):
        assert lake.run_job(config, *other, "--run-id", "d0") == 2
        assert f"run d0 was for other {what}" in capfd.readouterr().err
    assert versions(layout) == before


def test_a_run_without_training_days_needs_an_encoder(spark, tmp_path, capfd):
    config = lake.write_lake(tmp_path)
    assert lake.run_job(config, "--days", lake.DAYS[3]) == 2
    assert "there is no encoder" in (error := capfd.readouterr().err)
    assert "build training days first" in error
    assert not (tmp_path / "out").exists()


def test_a_day_built_again_keeps_its_rows_and_the_files_of_other_days(spark, daily, capfd):
    """All but the categories that have become frequent since, on later days."""
    layout, known = daily.layout, encoders.read(daily.layout.encoder).values
    kept, replaced, before = files(layout, DAYS[1:]), files(layout, DAYS[:1]), meaning(spark, layout)
    assert before["rare0"].pop("cat_advertiser") == encoders.UNKNOWN
    assert lake.run_job(daily.config, "--days", lake.DAYS[0], "--run-id", "again") == 0
    assert files(layout, DAYS[1:]) == kept
    assert not files(layout, DAYS[:1]) & replaced
    after = meaning(spark, layout)
    assert after["rare0"].pop("cat_advertiser") == "a9"
    assert after == before
    assert encoders.read(layout.encoder).values == known
    assert "stale       no days" in capfd.readouterr().out


@pytest.mark.slow
def test_later_days_are_stale_once_a_day_was_built_from_other_entity_rows_until_a_cascade(spark, daily, capfd):
    folder, config, layout = daily.folder, daily.config, daily.layout
    first_run = active_runs(pin(layout.training))[DAYS[0]]
    late = {"user": "u0", "ts": f"{lake.DAYS[1]}T07:00:00", "plan": "gold", "plays": 50.0}
    lake.write(folder / "raw/users.json", [*lake.users(), late])
    assert lake.run_job(config, "--days", lake.DAYS[1], "--run-id", "changed") == 0
    printed = capfd.readouterr().out
    assert (
        "stale       2026-01-03..2026-01-04: user changed before 2026-01-02 was built again by run changed" in printed
    )
    assert "--days 2026-01-03..2026-01-04" in printed
    assert lake.counts(folder)["stale_days"].keys() == {"2026-01-03", "2026-01-04"}
    settings = load(config, Config)
    with pytest.raises(RunError, match="stale days 2026-01-03 "):
        open_training_inputs(settings)

    version, first = pin(layout.training).version, files(layout, DAYS[:1])
    assert lake.run_job(config, "--days", lake.DAYS[1], "--cascade", "--as-of", f"{lake.DAYS[2]}T02:00:00") == 2
    assert "--cascade adds 2026-01-03..2026-01-04, built with what was known at " in capfd.readouterr().err
    assert pin(layout.training).version == version
    assert lake.run_job(config, "--days", lake.DAYS[1], "--cascade", "--run-id", "cascade") == 0
    printed = capfd.readouterr().out
    assert "cascade     added 2026-01-03..2026-01-04" in printed
    assert f"report      {layout.feature_report}/index.html" in printed
    assert pin(layout.training).version == version + 1
    assert active_runs(pin(layout.training)) == {DAYS[0]: first_run, **dict.fromkeys(DAYS[1:], "cascade")}
    assert files(layout, DAYS[:1]) == first
    assert lake.counts(folder)["stale_days"] == {}
    assert open_training_inputs(settings).version == version + 1
    rows = meaning(spark, layout)
    assert {rows[f"i{day}-0"]["cat_plan"] for day in (1, 3)} == {"gold", encoders.UNKNOWN}
    assert days_of_runs(layout.quarantine) == {
        (DAYS[0], first_run),
        (None, "cascade"),
        *((day, "cascade") for day in DAYS[1:]),
    }
    assert days_of_runs(layout.profiles) == {(DAYS[0], first_run), *((day, "cascade") for day in DAYS[1:])}


@pytest.mark.slow
def test_the_report_tells_of_the_last_run(daily):
    report = daily.layout.feature_report
    assert json.loads((report / "features.json").read_text())["run"]["run_id"] == "cascade"
    assert "Run cascade," in (report / "index.html").read_text()


@pytest.mark.slow
def test_a_back_test_of_earlier_days_knows_no_value_of_a_later_one(daily):
    """In the same folder, and with no training day built again; the table's indices stay what they are."""
    earlier = [
        f"days.train.last={lake.DAYS[0]}",
        *(f"days.validation.{end}={lake.DAYS[1]}" for end in ("first", "last")),
    ]
    earlier += [f"days.test.{end}={lake.DAYS[2]}" for end in ("first", "last")]
    # A value of the later day has an index now, also in the rows of the earlier one.
    assert lake.run_job(daily.config, "--days", lake.DAYS[0], "--run-id", "indexed") == 0
    later, back_test = load(daily.config, Config), load(daily.config, Config, earlier)
    with pytest.raises(EncoderError, match="fitted on the training days 2026-01-01 to 2026-01-01"):
        open_training_inputs(back_test)
    assert lake.run_job(daily.config, "--days", lake.DAYS[2], "--run-id", "back", *earlier) == 0
    inputs = open_training_inputs(back_test)
    assert "a9" in inputs.encoder.values["advertiser"]
    assert "a9" not in inputs.encoder.shown("advertiser")
    # Built as one of the training days of the later range, when more was known than at the back-test's test day.
    assert inputs.labels.late == (DAYS[0], DAYS[1])
    assert "a9" in open_training_inputs(later).encoder.shown("advertiser")
    # And the back-test's test day is one on which the later range validates.
    assert open_training_inputs(later).labels.late == (DAYS[2],)


@pytest.mark.slow
def test_a_slot_may_be_appended_and_the_table_refuses_rows_that_cannot_be(spark, daily, capfd):
    folder, layout = daily.folder, daily.layout
    settings = lake.config(folder)
    settings["slots"]["slots"].append({"id": "cover", "name": "Cover", "modality": "video"})
    shown = {**lake.impressions()[-1], "id": "new", "slot": "cover"}
    lake.write(folder / "raw/impressions.json", [*dirty(), shown])
    assert lake.run_job(lake.write_config(folder, settings), "--days", lake.DAYS[3]) == 0
    # The table fits a terminal of 80 columns when the run has a single later day.
    assert re.search(r"most shifted\s+\w+ ", capfd.readouterr().out)
    assert lake.counts(folder)["rows_per_day_and_slot"][lake.DAYS[3]]["cover"] == 1

    table = spark.read.format("delta").load(str(layout.training))
    row = table.where("impression_id = 'new'")
    for change in (
        {"slot": "'roof'"},
        {"label_click": "cast(2 as tinyint)"},
        {"impression_id": "cast(null as string)"},
    ):
        names = [f"{change.get(name, name)} AS {name}" for name in table.columns]
        with pytest.raises(Exception, match="DELTA_VIOLATE_CONSTRAINT"):
            row.selectExpr(*names).write.format("delta").mode("append").save(str(layout.training))
    assert pin(layout.training).on([DAYS[3]]).rows == lake.ROWS_A_DAY + 1
