"""The feature job from a raw lake to its tables: every row is accounted for, and nothing is half-written."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import pytest
from delta.tables import DeltaTable
from pyspark.sql import Row

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


class Built(NamedTuple):
    """The lake's folder, and what the build and its rerun counted and wrote."""

    folder: Path
    counts: list[dict]
    rows: list[dict[str, Row]]


@pytest.fixture(scope="module")
def built(spark, tmp_path_factory):
    """A build of the dirty lake, and a rerun of it."""
    folder = tmp_path_factory.mktemp("lake")
    impressions, outcomes = dirty()
    lost = [{**lake.users()[0], **{name: None}} for name in ("user", "ts")]
    file = lake.write_lake(folder, impressions=impressions, outcomes=outcomes, users=[*lake.users(), *lost])
    made = Built(folder, [], [])
    for _ in range(2):
        assert lake.run_job(file) == 0
        made.counts.append(lake.counts(folder))
        made.rows.append(lake.training(spark, folder))
    return made


def without_run(rows):
    return {key: {**row.asDict(), "run_id": None} for key, row in rows.items()}


def test_a_target_stands_beside_the_features(built):
    """A tenth of the user's plays, by its declaration."""
    found = [(row["num_plays"], row["target_oof"]) for row in built.rows[0].values()]
    assert any(plays for plays, _ in found)
    for plays, target in found:
        assert target == (None if plays is None else pytest.approx(plays / 10, rel=1e-6))


def test_every_row_read_has_one_fate(built):
    counts, rows = built.counts[0], built.rows[0]
    assert counts["read"] == CLEAN + len(BAD) + 2 + 3 + 2
    assert counts["excluded"] == {"house_ads": 1, "outside_days": 1}
    assert counts["duplicates"] == 3
    assert counts["quarantined"] == {"conflicting_id": 2, **dict.fromkeys(BAD, 1)}
    assert counts["written"] == CLEAN == len(rows)
    per_day = {day: sum(slots.values()) for day, slots in counts["rows_per_day_and_slot"].items()}
    assert per_day == dict.fromkeys(lake.DAYS, lake.ROWS_A_DAY)


def test_every_outcome_read_has_one_fate(built):
    counts, rows = built.counts[0], built.rows[0]
    fates = dict(counts["outcomes"])
    positive = fates.pop("positive")
    assert (fates.pop("misfiled"), fates.pop("told_late")) == (0, {})
    assert positive == {"click": sum(row.label_click == 1 for row in rows.values())}
    assert fates.pop("read") == len(dirty()[1]) == sum(fates.values())
    assert {fate: rows for fate, rows in fates.items() if rows} == {
        "impression_not_written": 1,
        "used": len(lake.outcomes()),
    }


def test_rows_of_entities_are_counted_with_those_that_can_never_be_joined(built):
    counts = built.counts[0]
    assert counts["entity_rows"] == {
        "user": {"read": len(lake.users()) + 2, "without_key_or_time": 2},
        "campaign": {"read": len(lake.campaigns()), "without_key_or_time": 0},
    }


def test_rows_carry_keys_labels_features_and_physical_ids(built):
    counts, rows = built.counts[0], built.rows[0]
    encoder = encoders.read(built.folder / "out/encoder")
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
    rows, counts = lake.quarantine(spark, built.folder), built.counts[0]
    assert Counter(reason for row in rows for reason in row.reasons) == counts["quarantined"]
    for row in rows:
        assert json.loads(row.raw)["campaign"] == "c0"
    assert {json.loads(row.raw)["ts"] for row in rows if "unparsable_ts" in row.reasons} == {"noon"}


def test_a_rerun_gives_the_same_rows_and_the_same_counts(spark, built):
    (first, second), (before, after) = built.counts, built.rows
    assert without_run(before) == without_run(after)
    timeless = {"seconds", "table_version", "run_id"}
    assert {k: v for k, v in first.items() if k not in timeless} == {
        k: v for k, v in second.items() if k not in timeless
    }
    assert second["table_version"] == first["table_version"] + 1
    assert len(lake.quarantine(spark, built.folder)) == sum(second["quarantined"].values())


def test_a_file_holds_one_slot_and_one_day_in_hash_order_and_no_more_rows_than_declared(spark, built):
    folder = built.folder
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
    folder = built.folder
    history = DeltaTable.forPath(spark, str(folder / "out/training")).history().collect()
    runs = [json.loads(row.userMetadata) for row in history if row.operationMetrics.get("numOutputRows")]
    assert len(runs) == 2
    assert runs[0].pop("run_id") > runs[1].pop("run_id")
    assert runs[0] == runs[1]
    assert runs[0].keys() == {"config_hash", "input", "input_versions"}
    assert runs[0]["input_versions"].keys() == {"impressions", "outcomes", "user", "campaign"}


@pytest.mark.slow
def test_a_build_with_other_settings_replaces_the_quarantined_rows_of_the_same_days(spark, built, tmp_path):
    folder = built.folder
    settings = lake.config(folder)
    settings["sources"]["max_quarantined"] = 0.5
    settings["input"] = str(folder / "out/../raw")
    assert lake.run_job(lake.write_config(tmp_path, settings)) == 0
    counts = lake.counts(folder)
    assert len(lake.quarantine(spark, folder)) == sum(counts["quarantined"].values()) == 2 + len(BAD)


@pytest.mark.slow
def test_another_day_range_replaces_its_own_days_only(spark, built, tmp_path):
    folder, before = built.folder, built.rows[0]
    fewer = [row for row in lake.impressions() if not row["id"].endswith("-7") or row["id"] == "i0-7"]
    settings = lake.config(folder)
    settings["days"]["train"]["first"] = lake.DAYS[1]
    settings["input"] = str(tmp_path / "raw")
    lake.write_lake(tmp_path, impressions=fewer)
    assert lake.run_job(lake.write_config(tmp_path, settings)) == 0
    after = lake.training(spark, folder)
    assert set(before) - set(after) == {"i1-7", "i2-7", "i3-7"}
    first_day = [key for key in before if key.startswith("i0-")]
    assert {key: without_run(after)[key] for key in first_day} == {key: without_run(before)[key] for key in first_day}
