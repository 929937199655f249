"""The feature job from a raw lake to its tables: every row is accounted for, and nothing is half-written."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest
from delta.tables import DeltaTable

from camoe.contracts import encoder as encoders
from camoe.contracts.snapshot import pin
from tests.features import lake

CLEAN = len(lake.impressions())
BAD = {
    "null_user_id": {"id": "bad-user", "user": None},
    "null_impression_id": {"id": None},
    "unparsable_ts": {"id": "bad-ts", "ts": "noon"},
    "unknown_slot": {"id": "bad-slot", "slot": "roof"},
    "invalid_label": {"id": "bad-outcome"},
}


def dirty():
    """The clean lake with each kind of dirt: (impressions, outcomes)."""
    clean = lake.impressions()
    good = clean[0]
    refused = [{**good, **change} for change in BAD.values()]
    conflict = [{**good, "id": "twice", "user": user} for user in ("u1", "u2")]
    repeated = [clean[3], clean[3], clean[4]]
    excluded = [{**good, "id": "house", "campaign": "house"}, {**good, "id": "old", "ts": "2025-06-01T12:00:00"}]
    outcomes = [*lake.outcomes(), {"id": "bad-outcome", "kind": "click", "ts": "noon"}]
    return clean + refused + conflict + repeated + excluded, outcomes


@pytest.fixture(scope="module")
def built(spark, tmp_path_factory):
    """A build of the dirty lake, and a rerun of it: (folder, both builds' counts, both builds' rows)."""
    folder = tmp_path_factory.mktemp("lake")
    impressions, outcomes = dirty()
    lost = [{**lake.users()[0], **{name: None}} for name in ("user", "ts")]
    file = lake.write_lake(folder, impressions=impressions, outcomes=outcomes, users=[*lake.users(), *lost])
    counts, rows = [], []
    for _ in range(2):
        assert lake.run_job(file) == 0
        counts.append(json.loads((folder / "out/counts.json").read_text())["build_features"])
        rows.append(training(spark, folder))
    return folder, counts, rows


def without_run(rows):
    return {key: {**row.asDict(), "run_id": None} for key, row in rows.items()}


def training(spark, folder):
    rows = spark.read.format("delta").load(str(folder / "out/training")).collect()
    return {row.impression_id: row for row in rows}


def quarantine(spark, folder):
    return spark.read.format("delta").load(str(folder / "out/quarantine")).collect()


def test_every_row_read_has_one_fate(built):
    _, (counts, _), (rows, _) = built
    assert counts["read"] == CLEAN + len(BAD) + 2 + 3 + 2
    assert counts["excluded"] == {"house_ads": 1, "outside_days": 1}
    assert counts["duplicates"] == 3
    assert counts["quarantined"] == {"conflicting_id": 2, **dict.fromkeys(BAD, 1)}
    assert counts["written"] == CLEAN == len(rows)
    per_day = {day: sum(slots.values()) for day, slots in counts["rows_per_day_and_slot"].items()}
    assert per_day == dict.fromkeys(lake.DAYS, lake.ROWS_A_DAY)


def test_every_outcome_read_has_one_fate(built):
    _, (counts, _), (rows, _) = built
    fates = dict(counts["outcomes"])
    positive = fates.pop("positive")
    assert positive == {"click": sum(row.label_click == 1 for row in rows.values())}
    assert fates.pop("read") == len(dirty()[1]) == sum(fates.values())
    assert {fate: rows for fate, rows in fates.items() if rows} == {
        "impression_not_written": 1,
        "used": len(lake.outcomes()),
    }


def test_rows_of_entities_are_counted_with_those_that_can_never_be_joined(built):
    _, (counts, _), _ = built
    assert counts["entity_rows"] == {
        "user": {"read": len(lake.users()) + 2, "without_key_or_time": 2},
        "campaign": {"read": len(lake.campaigns()), "without_key_or_time": 0},
    }


def test_rows_carry_keys_labels_features_and_physical_ids(built):
    folder, (counts, _), (rows, _) = built
    encoder = encoders.read(folder / "out/encoder")
    plans = dict(enumerate(encoder.values["plan"], encoders.FIRST))
    for day, text in enumerate(lake.DAYS):
        for number in range(lake.ROWS_A_DAY):
            row = rows[f"i{day}-{number}"]
            assert (row.user_id, row.campaign_id, str(row.date)) == (f"u{number % 7}", f"c{number % 3}", text)
            assert row.label_click == int((day * lake.ROWS_A_DAY + number) % 5 == 0)
            assert (row.slot, row.slot_id) == (("break", 1) if number % 3 == 0 else ("feed", 0))
            assert (row.modality, row.modality_id) == (("audio", 1) if number % 3 == 0 else ("video", 0))
            if number % 7 == 6:
                assert (row.cat_plan, row.num_plays, row.num_age) == (encoders.MISSING, None, None)
            else:
                # 'paid' begins on the validation day, so the training days' vocabulary does not hold it.
                assert plans.get(row.cat_plan) == ("free" if day < 2 else None)
                assert row.num_plays == number % 7 + (0 if day < 2 else 2)
    assert counts["matched"] == {"user": round(share_of_known_users(), 6), "campaign": 1.0}


def share_of_known_users():
    users = [row["user"] for row in lake.impressions()]
    return sum(user != "u6" for user in users) / len(users)


def test_quarantine_keeps_the_raw_row_and_every_reason(spark, built):
    folder, (counts, _), _ = built
    rows = quarantine(spark, folder)
    assert Counter(reason for row in rows for reason in row.reasons) == counts["quarantined"]
    for row in rows:
        assert json.loads(row.raw)["campaign"] == "c0"
    assert {json.loads(row.raw)["ts"] for row in rows if "unparsable_ts" in row.reasons} == {"noon"}


def test_a_rerun_gives_the_same_rows_and_the_same_counts(spark, built):
    folder, (first, second), (before, after) = built
    assert without_run(before) == without_run(after)
    timeless = {"seconds", "table_version", "run_id"}
    assert {k: v for k, v in first.items() if k not in timeless} == {
        k: v for k, v in second.items() if k not in timeless
    }
    assert second["table_version"] == first["table_version"] + 1
    assert len(quarantine(spark, folder)) == sum(second["quarantined"].values())


def test_a_file_holds_one_slot_and_one_day_in_hash_order_and_no_more_rows_than_declared(spark, built):
    folder, _, _ = built
    snapshot = pin(folder / "out/training")
    assert snapshot.rows == CLEAN
    assert max(file.rows for file in snapshot.files) <= 6
    assert {len(file.row_groups) for file in snapshot.files} == {1}
    placed = [
        (file.path, position, name)
        for file in snapshot.files
        for position, name in enumerate(pq.ParquetFile(file.path).read(["impression_id"])["impression_id"].to_pylist())
    ]
    table = spark.createDataFrame(placed, "path string, position int, id string").orderBy("path", "position")
    hashes = defaultdict(list)
    for row in table.selectExpr("path", "xxhash64(id) as hash").collect():
        hashes[row.path].append(row.hash)
    assert all(found == sorted(found) for found in hashes.values())
    cells = defaultdict(set)
    for file in snapshot.files:
        cells[file.slot, file.day].add(file.path)
    assert len(cells) == 2 * len(lake.DAYS)
    assert {len(paths) > 1 for paths in cells.values()} == {True}


def test_commits_say_which_run_made_them(spark, built):
    folder, _, _ = built
    history = DeltaTable.forPath(spark, str(folder / "out/training")).history().collect()
    runs = [json.loads(row.userMetadata) for row in history if row.operationMetrics.get("numOutputRows")]
    assert len(runs) == 2
    assert runs[0].pop("run_id") > runs[1].pop("run_id")
    assert runs[0] == runs[1]
    assert runs[0].keys() == {"config_hash", "input", "input_versions"}
    assert runs[0]["input_versions"].keys() == {"impressions", "outcomes", "user", "campaign"}


@pytest.mark.slow
def test_a_build_with_other_settings_replaces_the_quarantined_rows_of_the_same_days(spark, built, tmp_path):
    folder, _, _ = built
    settings = lake.config(folder)
    settings["sources"]["max_quarantined"] = 0.5
    settings["input"] = str(folder / "out/../raw")
    assert lake.run_job(lake.write_config(tmp_path, settings)) == 0
    counts = json.loads((folder / "out/counts.json").read_text())["build_features"]
    assert len(quarantine(spark, folder)) == sum(counts["quarantined"].values()) == 2 + len(BAD)


def test_another_day_range_replaces_its_own_days_only(spark, built, tmp_path):
    folder, _, (before, _) = built
    fewer = [row for row in lake.impressions() if not row["id"].endswith("-7") or row["id"] == "i0-7"]
    settings = lake.config(folder)
    settings["days"]["train"]["first"] = lake.DAYS[1]
    settings["input"] = str(tmp_path / "raw")
    lake.write_lake(tmp_path, impressions=fewer)
    assert lake.run_job(lake.write_config(tmp_path, settings)) == 0
    after = training(spark, folder)
    assert set(before) - set(after) == {"i1-7", "i2-7", "i3-7"}
    first_day = [key for key in before if key.startswith("i0-")]
    assert {key: without_run(after)[key] for key in first_day} == {key: without_run(before)[key] for key in first_day}


def test_other_features_are_refused_until_replaced(spark, tmp_path, capfd):
    file = lake.write_lake(tmp_path)
    assert lake.run_job(file) == 0
    settings = lake.config(tmp_path)
    settings["features"]["numeric"].pop()
    lake.write_config(tmp_path, settings)
    assert lake.run_job(file) == 2
    assert "--replace" in capfd.readouterr().err
    assert "num_age" in training(spark, tmp_path)["i0-0"]
    assert lake.run_job(file, "--replace") == 0
    assert "num_age" not in training(spark, tmp_path)["i0-0"]
    assert pin(tmp_path / "out/training").rows == CLEAN


def test_another_set_of_objectives_is_refused_before_anything_is_written(spark, built, tmp_path, capfd):
    folder, _, _ = built
    settings = lake.config(folder)
    settings["sources"]["impressions"]["labels"] = {"buy": "id = 'i0-0'"}
    settings["sources"]["objectives"]["buy"] = {"window_s": 60}
    before = pin(folder / "out/training").version
    quarantined = len(quarantine(spark, folder))
    assert lake.run_job(lake.write_config(tmp_path, settings)) == 2
    assert "was built with other settings" in capfd.readouterr().err
    assert pin(folder / "out/training").version == before
    assert len(quarantine(spark, folder)) == quarantined


def test_slots_in_another_order_are_refused_before_anything_is_written(spark, built, tmp_path, capfd):
    folder, _, _ = built
    settings = lake.config(folder)
    settings["slots"]["slots"].reverse()
    before = pin(folder / "out/training").version
    assert lake.run_job(lake.write_config(tmp_path, settings)) == 2
    assert "slots feed:video,break:audio, now they are break:audio,feed:video" in capfd.readouterr().err
    assert pin(folder / "out/training").version == before


def drop_path(folder, settings):
    (folder / "raw/users.json").unlink()


def rename_column(folder, settings):
    settings["sources"]["impressions"]["columns"]["campaign_id"] = "advert"


def add_key(folder, settings):
    settings["sources"]["impressions"]["colour"] = "red"


def drop_day(folder, settings):
    day = lake.DAYS[2]
    rows = [row for row in lake.impressions() if not row["ts"].startswith(day)]
    lake.write(folder / "raw/impressions.json", rows)


def spoil(folder, settings):
    rows = lake.impressions()
    lake.write(folder / "raw/impressions.json", rows[:80] + [{**row, "user": None} for row in rows[80:]])


def empty(folder, settings):
    lake.write(folder / "raw/campaigns.json", [])


def repeat_key(folder, settings):
    lake.write(folder / "raw/campaigns.json", lake.campaigns() * 2)


def respell_key(folder, settings):
    settings["sources"]["impressions"]["columns"]["campaign_id"] = "cast(replace(campaign, 'c', '') as int)"
    rows = [{"campaign": number, "advertiser": "a0"} for number in ("0", "1", "01", "2")]
    lake.write(folder / "raw/campaigns.json", rows)


def rename_objective(folder, settings):
    rows = [{**row, "kind": "Click"} for row in lake.outcomes()]
    lake.write(folder / "raw/outcomes.json", rows)


def mistake_format(folder, settings):
    settings["sources"]["entities"]["user"]["format"] = "parquet"


def clear(folder, settings):
    (folder / "raw/users.json").unlink()
    (folder / "raw/users.json").mkdir()


def drop_header(folder, settings):
    settings["sources"]["entities"]["user"]["format"] = "csv"


def leak(folder, settings):
    settings["sources"]["impressions"]["labels"] = {"liked": "id = 'i0-0'"}
    settings["features"]["numeric"][0]["sql"] = "label_liked"


def break_feature(folder, settings):
    settings["features"]["numeric"][0]["sql"] = "user.height"


def read_clock(folder, settings):
    settings["sources"]["entities"]["user"]["columns"]["ts"] = "coalesce(ts, now())"


def draw_lots(folder, settings):
    settings["sources"]["impressions"]["exclude"][0]["where"] = "rand() < 0.1"


def leak_the_time(folder, settings):
    settings["features"]["numeric"][0]["sql"] = "datediff(current_date(), ts)"
    # Told before the impressions are counted, which are too bad to be used.
    spoil(folder, settings)


def break_cast(folder, settings):
    settings["sources"]["impressions"]["columns"]["user_id"] = "cast(user as int)"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (drop_path, r"user: .*raw/users\.json does not exist"),
        (rename_column, r"impressions at .*impressions\.json: 'campaign_id: advert'.*no column `advert`.*campaign, id"),
        (add_key, r"config\.yaml: 'sources\.impressions\.colour': unknown key"),
        (drop_day, r"no usable impressions on 2026-01-03"),
        (spoil, r"40 of 120 .*null_user_id 40.*sources\.max_quarantined=0\.2"),
        (empty, r"campaigns\.json has no rows"),
        (repeat_key, r"campaigns\.json has several rows for 3 values of campaign_id"),
        (respell_key, r"campaigns\.json has several rows for 1 values of campaign_id"),
        (rename_objective, r"objective 'click' has no positive .*'Click' 24.*other_objective 24"),
        (mistake_format, r"user: cannot read .*users\.json as parquet.*that format in the sources"),
        (clear, r"user: cannot read .*users\.json.*no empty folder"),
        (drop_header, r"user at .*'plan: plan'.*the columns there are _c0, _c1"),
        (leak, r"'num_plays: label_liked': there is no column `label_liked`"),
        (break_feature, r"'num_plays: user\.height'"),
        (read_clock, r"user at .*users\.json: 'ts: coalesce\(ts, now\(\)\)' draws lots or reads the clock"),
        (draw_lots, r"the exclusions of the impressions: 'house_ads: rand\(\) < 0\.1' draws lots"),
        (leak_the_time, r"the features: 'num_plays: datediff\(current_date\(\), ts\)' draws lots or reads the clock"),
        (break_cast, r'cannot build from .*"STRING" cannot be cast to "INT" in: cast\(user as int\).*try_cast'),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_bad_input_gives_one_clear_message_and_writes_nothing(spark, tmp_path, capfd, damage, message):
    lake.write_lake(tmp_path)
    settings = lake.config(tmp_path)
    damage(tmp_path, settings)
    assert lake.run_job(lake.write_config(tmp_path, settings)) == 2
    errors = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert re.search(message, errors[0])
    assert not (tmp_path / "out").exists()


def without_labels(rows, day):
    """The rows of `day` with all but what a later run with a later as-of time refreshes."""
    refreshed = {"run_id": None, "label_click": None, "label_as_of": None}
    return {key: {**row.asDict(), **refreshed} for key, row in rows.items() if str(row.date) == day}


def test_labels_not_mature_at_the_as_of_time_are_null_until_a_later_run_refreshes_them(spark, tmp_path):
    file, last = lake.write_lake(tmp_path), lake.DAYS[3]
    # The windows of the first sixteen impressions of the last day have closed; clicks on the others have happened.
    as_of = datetime.fromisoformat(f"{last}T13:15:00+00:00")
    assert lake.run_job(file, f"days.as_of={as_of.isoformat()}") == 0
    before = training(spark, tmp_path)
    clicked = {row["id"] for row in lake.outcomes()}
    for key, row in before.items():
        mature = row.ts.astimezone(UTC) <= as_of - timedelta(hours=1)
        assert mature or str(row.date) == last
        assert row.label_click == (int(key in clicked) if mature else None)
    assert [key for key, row in before.items() if row.label_click is None and key in clicked]
    assert {row.label_as_of.astimezone(UTC) for row in before.values()} == {as_of}

    later = as_of + timedelta(hours=1)
    assert lake.run_job(file, "--days", last, "--as-of", later.isoformat()) == 0
    after = training(spark, tmp_path)
    assert without_labels(after, last) == without_labels(before, last)
    for key, row in after.items():
        if str(row.date) == last:
            assert (row.label_click, row.label_as_of.astimezone(UTC)) == (int(key in clicked), later)
        else:
            assert row == before[key]
