"""A first configuration guessed from a log's columns: it loads, its check finds nothing, and no label is a feature."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.contracts.errors import InputError
from features.init.roles import guess_roles
from features.init.sample import read_sample
from jobs import check, init
from tests.jobs.in_process import run_main

DAY_S = 86_400
ROWS = 400
NO_ROLES = dict.fromkeys(("time", "user", "campaign", "slot", "id", "label"))


def log(**more):
    """Search ads over four days: no id, seconds, two labels by their names, one that sounds like none."""
    numbers = range(ROWS)
    own = {
        "search_user": [f"u{number % 37}" for number in numbers],
        "ad_id": [number % 11 for number in numbers],
        "position": [number % 3 for number in numbers],
        "time_stamp": [1_750_000_000 + number * 4 * DAY_S // ROWS for number in numbers],
        "clicked": [int(number % 7 == 0) for number in numbers],
        "installed": [int(number % 50 == 0) for number in numbers],
        "seen_whole": [int(number % 5 == 0) for number in numbers],
        "dwell_ms": [number * 3.5 for number in numbers],
        "query": [f"words {number}" for number in numbers],
        "match_type": [["exact", "broad"][number % 2] for number in numbers],
        "bid": [0.1 * number for number in numbers],
        "hour": [number % 24 for number in numbers],
        "version": [1] * ROWS,
    }
    return pa.table({**own, **more})


@pytest.fixture
def folder(tmp_path):
    pq.write_table(log(), tmp_path / "log.parquet")
    users = {"user": [f"u{number}" for number in range(37)], "campaign_id": list(range(37)), "age": [20, 30] * 18 + [9]}
    pc.write_csv(pa.table(users), tmp_path / "users.csv")
    return tmp_path


def guess(folder, *arguments):
    """Run jobs/init.py on the log and its users; the configuration."""
    files = [str(folder / "log.parquet"), str(folder / "users.csv")]
    init.main([*files, "--name", "mine", "--folder", str(folder / "conf"), *arguments])
    return load(folder / "conf/mine.yaml", Config)


def test_what_is_known_after_the_impression_is_no_feature(folder):
    config = guess(folder)
    read = {feature.name for feature in (*config.features.categorical, *config.features.numeric)}
    assert read == {"hour", "slot", "match_type", "bid", "users_own_campaign_id", "users_age"}
    assert set(config.sources.objectives) == {"clicked", "installed"}
    written = (folder / "conf/features/mine.yaml").read_text()
    for name in ("seen_whole", "dwell_ms", "query", "version"):
        assert f"# Not read: {name}: " in written


def test_each_column_of_the_log_has_its_part(folder):
    log = guess(folder, "--zone", "Europe/Stockholm").sources.impressions
    assert log.columns["impression_id"] == "concat_ws('-', search_user, ad_id, position, time_stamp)"
    assert log.columns["user_id"] == "cast(search_user as string)"
    assert log.columns["ts"] == "timestamp_seconds(cast(time_stamp as bigint))"
    assert log.labels["clicked"] == "cast(clicked as int)"


def test_the_check_finds_nothing_wrong_and_the_last_days_are_kept_apart(folder):
    config = guess(folder)
    assert run_main(check.main, folder / "conf/mine.yaml") == 0
    assert [slot.id for slot in config.slots.slots] == ["slot_0", "slot_1", "slot_2"]
    assert config.days.test.days()[0].isoformat() == "2025-06-19"
    assert len(config.days.train.days()) == 3


def test_a_log_of_json_lines_is_guessed_as_the_others_and_lists_are_no_features(folder):
    rows = log(bids=[[1, 2]] * ROWS).to_pylist()
    (folder / "log.json").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    init.main([str(folder / "log.json"), "--name", "mine", "--folder", str(folder / "conf")])
    config = load(folder / "conf/mine.yaml", Config)
    assert config.sources.impressions.format == "json"
    assert config.sources.impressions.columns["bid"] == "try_cast(bid as double)"
    assert "# Not read: bids: holds lists" in (folder / "conf/features/mine.yaml").read_text()
    assert config.days.test.days()[0].isoformat() == "2025-06-19"
    assert run_main(check.main, folder / "conf/mine.yaml") == 0


def test_a_share_of_the_users_is_left_out_by_declaration(folder):
    (left_out,) = guess(folder, "--sample", "10").sources.impressions.exclude
    assert left_out.where == "pmod(xxhash64(user_id), 10) <> 0"


@pytest.mark.parametrize(
    ("values", "sql"),
    [
        ([1_750_000_000_123], "timestamp_millis(cast(at as bigint))"),
        (["2025-06-19T12:00:00"], "try_cast(at as timestamp)"),
        (pa.array([0], pa.timestamp("us")), "at"),
        ([20250619], None),
        (["noon"], None),
        ([1.5], None),
    ],
)
def test_a_time_is_known_by_its_values(values, sql, tmp_path):
    pq.write_table(pa.table({"at": values}), tmp_path / "log.parquet")
    assert read_sample(tmp_path / "log.parquet").time_sql("at") == sql


def test_what_the_owner_tells_goes_before_a_guess(folder):
    roles = guess_roles(read_sample(folder / "log.parquet"), {**NO_ROLES, "label": "seen_whole", "campaign": "query"})
    assert (roles.labels, roles.campaign) == (("seen_whole",), "query")
    with pytest.raises(InputError, match=r"--user serch_user: there is no such column.*did you mean 'search_user'"):
        guess_roles(read_sample(folder / "log.parquet"), {**NO_ROLES, "user": "serch_user"})


@pytest.mark.parametrize(("lost", "option"), [("time_stamp", "--time COLUMN"), (("clicked", "installed"), "--label")])
def test_a_log_without_a_time_or_a_label_is_asked_about(lost, option, folder):
    names = [lost] if isinstance(lost, str) else list(lost)
    pq.write_table(log().drop_columns(names), folder / "log.parquet")
    with pytest.raises(InputError, match=option):
        guess(folder)


def test_files_that_are_there_are_kept(folder):
    guess(folder)
    with pytest.raises(InputError, match=r"conf/mine.yaml is there already; choose another --name"):
        guess(folder)
