"""Leftovers of the history: folders of other settings, and rows and files that no record names."""

from __future__ import annotations

from datetime import date, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from camoe.contracts.errors import MaintenanceError
from camoe.contracts.files import write_text
from camoe.contracts.history import History
from features.delta.log import active_files
from features.history.keys import Layout as Counted
from features.history.records import StoredBlock, StoredDay
from features.history.store import HistoryError, HistoryStore
from features.maintenance.committed import clear_rows
from features.maintenance.forget import forget, owner_of, plan_forget, read_users
from features.maintenance.history import unread_rows
from features.maintenance.orphans import clear, leftovers, tables
from tests.features.maintenance.upkeep import DAYS, aged, now, put

HISTORY = History.model_validate(
    {"since": DAYS[0], "keys": {"all": [], "user": ["user_id"], "slot": ["slot"]}, "make": ["counts"]}
)


def add_rows(table, run, day, owners):
    """A row of each owner's own key set, and one of a key set of all."""
    rows = [(owner, 2) for owner in owners] + [(None, 1)]
    data = pa.table(
        {
            "date": pa.array([day] * len(rows)),
            "run_id": [run] * len(rows),
            "owner": pa.array([owner for owner, _ in rows], pa.int64()),
            "key_set": pa.array([place for _, place in rows], pa.int8()),
        }
    )
    write_deltalake(table, data, mode="append", partition_by=["date", "run_id"])


@pytest.fixture
def history(layout):
    """The history of the settings that the runs have ("s"): two days and a block, and one day that was replaced."""
    folder = layout.history / "s"
    owners = [owner_of("u1"), owner_of("u2")]
    for number, day in enumerate(DAYS):
        for name in ("events", "states"):
            add_rows(folder / name, "r1-1", day, owners)
        record = StoredDay(day=day, run_id="r1-1", final=True, shown="", settled="")
        write_text(folder / f"days/{number}.json", record.model_dump_json())
    add_rows(folder / "states", "r0-1", DAYS[0], owners)
    add_rows(folder / "states_8", "r1-1", date(2025, 12, 25), owners)
    block = StoredBlock(first=date(2025, 12, 25), days=8, run_id="r1-1", rests_on="")
    write_text(folder / "blocks/8.json", block.model_dump_json())
    return folder


def rows(table):
    return sum(file["num_records"] for file in active_files(table))


def test_rows_that_no_record_names_go(layout, history):
    assert set(tables(layout)) >= {history / "events", history / "states", history / "states_8"}
    assert unread_rows(layout, now() - timedelta(hours=1)) == ()
    found = unread_rows(layout, now() + timedelta(hours=1))
    assert {item.table.name: item.rows for item in found} == {"states": {"r0-1": 3}}
    clear_rows(found)
    assert {path.name: rows(path) for path in (history / "events", history / "states", history / "states_8")} == {
        "events": 6,
        "states": 6,
        "states_8": 3,
    }
    assert unread_rows(layout, now() + timedelta(hours=1)) == ()


def test_a_day_whose_rows_are_gone_is_not_taken_for_an_empty_one(history):
    store = HistoryStore(history, Counted(HISTORY, {"impression": 0}))
    assert set(store.found().days) == set(DAYS)
    DeltaTable(history / "events").delete(f"date = '{DAYS[1]}'")
    with pytest.raises(HistoryError, match=f"events lacks the rows of {DAYS[1]}; remove .*: a run makes it again"):
        store.found()


def test_folders_of_settings_that_no_run_has_and_temporary_files_go(layout, history):
    stray = put(layout.history / "other/states/_delta_log/00000000000000000000.json", "{}")
    left = aged(put(history / "days/.2026-01-01.json.4711"))
    found = leftovers(layout, now() - timedelta(hours=24))
    assert [(item.what, item.path) for item in found] == [("temporary file", left)]
    aged(stray.parents[2])
    clear(leftovers(layout, now() - timedelta(hours=24)))
    assert not left.exists()
    assert [path.name for path in layout.history.iterdir()] == ["s"]
    put(layout.runs / "broken.json", "{")
    aged(put(layout.history / "other/days/x.json").parents[1])
    assert leftovers(layout, now() - timedelta(hours=24)) == ()


def test_a_user_is_forgotten_where_the_sums_are_of_users(layout, history, tmp_path):
    users = read_users(put(tmp_path / "users.txt", "u2\nu9\n"))
    with pytest.raises(MaintenanceError, match=r"sums of the key sets slot in .*--keep slot, and they stay"):
        plan_forget(layout, history, HISTORY, users, ())
    plan = plan_forget(layout, history, HISTORY, users, ("slot",))
    listed = forget(plan, delete=False)
    assert {item.table.name: item.rows for item in listed} == {"events": 2, "states": 3, "states_8": 1}
    assert rows(history / "events") == 6
    assert forget(plan, delete=True) == listed
    left = [
        owner
        for path in DeltaTable(history / "states").file_uris()
        for owner in pq.read_table(path)["owner"].to_pylist()
    ]
    assert sorted(left, key=str) == sorted([owner_of("u1"), None] * 3, key=str)
    assert [item.rows for item in forget(plan, delete=True)] == [0, 0, 0]
    put(layout.history / "other/days/x.json")
    with pytest.raises(MaintenanceError, match="other is the history of other settings"):
        plan_forget(layout, history, HISTORY, users, ("slot",))


def test_a_file_without_users_is_refused(tmp_path):
    with pytest.raises(MaintenanceError, match="names no user"):
        read_users(put(tmp_path / "users.txt", "\n"))
    with pytest.raises(MaintenanceError, match="cannot be read as UTF-8"):
        read_users(tmp_path / "missing.txt")
