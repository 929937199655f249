"""Leftovers are found and cleared, old files go, and nothing that a reader may need is touched."""

from __future__ import annotations

import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from deltalake import write_deltalake
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from camoe.contracts.errors import MaintenanceError
from camoe.contracts.layout import Layout
from camoe.contracts.places.leases import this_process
from camoe.contracts.places.pins import pinned
from features.maintenance.command_line import age
from features.maintenance.committed import clear_rows, orphan_rows, uncommitted
from features.maintenance.orphans import at_work, clear, leftovers
from features.tables.attempt import only_attempt
from jobs.maintain import main
from tests.features.maintenance.upkeep import (
    CELL,
    DAYS,
    add_side_rows,
    aged,
    command,
    content,
    everything,
    leave_record,
    now,
    put,
    training_rows,
    versions,
)
from tests.waiting import wait_until

# Leftovers of every kind, then what looks like one and is none.
LEFT = (
    f"{CELL}/part-00000-dead.c000.snappy.parquet",
    f"{CELL}/.part-00000-dead.c000.snappy.parquet.crc",
    "training/modality=m/slot=gone/date=2026-01-01/part-00001-dead.parquet",
    "training/_delta_log/.00000000000000000009.json.5f0e.tmp",
    "training/_delta_log/_commit_5f0e.json.tmp",
    "quarantine/part-00000-dead.parquet",
    "profiles/date=2026-01-01/run_id=dead/part-00000-dead.parquet",
    ".counts.json.4711",
    "runs/.r9.json.4711",
    "pins/.train-host-1.json.4711",
    "drift/.0123456789ab.json.4711",
    "drift/candidates/.0123456789ab.json.4711",
)
KEPT = (
    f"{CELL}/notes.txt",
    f"{CELL}/model.parquet",
    "training/_important/part-00000.parquet",
    "training/_delta_log/_last_vacuum_info",
    "training/_delta_log/00000000000000000000.crc",
    "quarantine/readme.md",
    "other/part-00000.parquet",
    "part-00000.parquet",
    ".hidden",
    ".counts.json",
    "runs/notes.json",
    "runs/notes.json.4711",
    "encoder/v1/vocabulary.parquet",
    "bundle/manifest.txt",
    "bundles/x/manifest.json",
)


@pytest.fixture(scope="module")
def built_versions(built):
    return versions(built.training)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.sampled_from([(name, old) for name in (*LEFT, *KEPT) for old in (True, False)])))
def test_only_old_leftovers_of_known_kinds_go_and_every_version_can_still_be_read(
    built, built_versions, tmp_path, files
):
    layout = Layout(tmp_path / "copy")
    shutil.rmtree(layout.root, ignore_errors=True)
    aged(Path(shutil.copytree(built.root, layout.root)))
    old = {name for name, is_old in files if is_old and (name, False) not in files}
    for name, _ in files:
        put(layout.root / name)
    for name in old:
        aged(layout.root / name)
    before = everything(layout.root)
    clear(leftovers(layout, now() - timedelta(hours=24)))
    gone = {str(path.relative_to(layout.root)) for path in before - everything(layout.root)}
    assert gone == old & set(LEFT)
    assert versions(layout.training) == built_versions


def test_folders_go_when_everything_in_them_is_old(layout):
    folders = [
        layout.encoder / ".staging-v2-77",
        layout.root / ".compact-0123456789ab",
        layout.training / "_temporary",
    ]
    killed = [
        layout.root / "bundles/.staging-20260101T000000000000Z",
        layout.checkpoints / ".staging-20260101T000000000000Z-epoch0000-step00000000",
        layout.root / ".lake-staging",
        layout.copies / "killed",
    ]
    for folder in (*killed, layout.copies / "running"):
        put(folder / "part")
        aged(folder)
    (layout.copies / ".running.lease").write_text(this_process().model_dump_json())
    for folder in folders:
        put(folder / "0/deep/file.parquet")
        aged(folder)
    put(layout.encoder / ".staging-v3/encoder.json")
    aged(folders[1])
    put(folders[2] / "0/deep/young.parquet")
    link = layout.training / "part-00000-link.parquet"
    link.symlink_to(aged(put(layout.root / "elsewhere/part-00000.parquet")))
    os.utime(link, (0, 0), follow_symlinks=False)
    found = leftovers(layout, now() - timedelta(hours=24))
    assert [item.path for item in found] == sorted(
        [layout.root.resolve() / ".compact-0123456789ab", folders[0], *killed]
    )
    clear(found)
    assert [folder.exists() for folder in [*folders, *killed]] == [False, False, True, *[False] * 4]
    assert (layout.encoder / ".staging-v3").exists()


def test_a_run_record_goes_only_when_the_run_never_committed(layout):
    leave_record(layout, "dead", DAYS[0])
    (layout.runs / "broken.json").write_text("{")
    (found,) = leftovers(layout, now() + timedelta(hours=1))
    assert (found.what, found.path.name) == ("run record", "dead.json")
    clear([found])
    # r1 committed and built no day of the newest version: its record tells about the versions before.
    assert {path.stem for path in layout.runs.iterdir()} == {"r1", "r2", "r3", "broken"}


def test_nothing_goes_that_a_job_at_work_may_have_written(layout, capsys):
    """However short --older-than is: until it commits, its files look as those of a run that was killed."""
    old = aged(put(layout.training.parent / f"{CELL}/part-00000-dead.c000.snappy.parquet"))
    with only_attempt(layout.runs, "r9"), pinned(layout.pins, layout.training, 1, "score", "a test"):
        leave_record(layout, "r9", DAYS[0])
        young = [put(layout.root / f"{CELL}/part-00001-r9.c000.snappy.parquet"), put(layout.encoder / ".staging-v9/x")]
        add_side_rows(layout.quarantine, "r9", DAYS[0], 4)
        assert len(at_work(layout)) == 2
        main([*command("orphans", layout), "--older-than", "0s", "--delete"])
        said = capsys.readouterr().out
        assert said.count("at work, and what it may have written is left alone: ") == 2
        assert not old.exists()
        assert all(path.exists() for path in young)
        assert (layout.runs / "r9.json").exists()
        assert "quarantine" not in said
    assert at_work(layout) == {}


def test_rows_of_runs_that_never_committed_go_from_the_side_tables(layout):
    add_side_rows(layout.quarantine, "dead", DAYS[0], 4)
    add_side_rows(layout.profiles, "dead", DAYS[1], 6)
    add_side_rows(layout.profiles, "dead2", DAYS[0], 1)
    before = content(layout.training)
    assert orphan_rows(layout, now() - timedelta(hours=24)) == ()
    found = orphan_rows(layout, now() + timedelta(hours=1))
    assert {item.table.name: item.rows for item in found} == {
        "quarantine": {"dead": 4},
        "profiles": {"dead": 6, "dead2": 1},
    }
    clear_rows(found)
    assert orphan_rows(layout, now() + timedelta(hours=1)) == ()
    assert len(content(layout.quarantine)) == 3 * 2
    assert len(content(layout.profiles)) == 3 * 3
    assert content(layout.training) == before


def test_a_run_with_one_young_file_keeps_all_its_rows(layout):
    add_side_rows(layout.quarantine, "slow", DAYS[0], 4)
    between = now()
    # The log tells milliseconds.
    wait_until(lambda: now() - between >= timedelta(milliseconds=1))
    add_side_rows(layout.quarantine, "slow", DAYS[1], 4)
    assert orphan_rows(layout, between) == ()


def test_a_table_that_does_not_name_its_runs_calls_no_run_uncommitted(layout):
    shutil.rmtree(layout.training)
    write_deltalake(layout.training, training_rows("r1", DAYS[0]).drop(["run_id"]))
    assert uncommitted(layout.training, ["r1", "dead"]) == frozenset()


def test_a_log_that_cannot_be_read_stops_the_search(layout):
    (layout.training / "_delta_log/00000000000000000001.json").write_text("{")
    put(layout.root / LEFT[0])
    with pytest.raises(MaintenanceError, match=r"_delta_log cannot be read"):
        leftovers(layout, now() + timedelta(hours=1))


def test_a_log_that_lost_its_commits_stops_the_search_instead_of_counting_as_no_table(layout):
    for path in (layout.training / "_delta_log").iterdir():
        path.unlink()
    with pytest.raises(MaintenanceError, match=r"the log of .*training cannot be read"):
        leftovers(layout, now() + timedelta(hours=1))


def test_the_job_lists_leftovers_and_clears_them_only_when_told(layout, capsys):
    left = aged(put(layout.root / LEFT[0]))
    asked = command("orphans", layout)
    main(asked)
    assert left.exists()
    main([*asked, "--delete", "--older-than", "2d"])
    assert left.exists()
    main([*asked, "--older-than", "1d", "--delete"])
    assert not left.exists()
    assert "data file: 1, 1 bytes" in capsys.readouterr().out
    main(asked)
    assert "nothing was left behind" in capsys.readouterr().out


def test_the_job_refuses_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(MaintenanceError, match="there is no folder"):
        main(command("orphans", Layout(tmp_path / "missing")))


@pytest.mark.parametrize(("text", "seconds"), [("0s", 0), ("90m", 5400), ("2h", 7200), ("3d", 259200)])
def test_ages(text, seconds):
    assert age(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "3", "d", "1.5h", "-1d", "3 d", "1w"])
def test_what_is_no_age_is_refused(text):
    with pytest.raises(MaintenanceError, match="is no age"):
        age(text)
