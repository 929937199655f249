"""Old files go, and no version that somebody needs loses one; the commands say what they keep and why."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta

import pytest
from deltalake import DeltaTable, write_deltalake

from camoe.contracts.errors import MaintenanceError, SnapshotError
from camoe.contracts.places.pins import pinned
from camoe.contracts.snapshot import pin
from camoe.train.checkpoint.folder import checkpoint_name, new_run
from camoe.train.checkpoint.history import History
from camoe.train.checkpoint.state import TABLE_VERSION, RunState, write_run_state
from features.maintenance.keep import Keep, keep_pinned, keep_scored
from features.maintenance.vacuum import plan_vacuum, remove_files
from jobs.maintain import main
from tests.features.maintenance.upkeep import (
    CELL,
    DAYS,
    aged,
    build_day,
    command,
    content,
    everything,
    now,
    put,
    training_rows,
    versions,
)


def vacuum(layout, *keep, before=None):
    """Vacuum the training table with no retention; returns what was planned."""
    plan = plan_vacuum(layout.training, keep, before or now() + timedelta(seconds=1))
    remove_files([plan])
    return plan


def test_a_pinned_version_is_read_in_full_after_a_vacuum_without_retention_and_others_are_not(layout):
    build_day(layout, "r4", DAYS[1])
    build_day(layout, "r5", DAYS[0])
    all_versions = versions(layout.training)
    with (
        pinned(layout.pins, layout.training, 1, "train", "a test"),
        pinned(layout.pins, layout.quarantine, 0, "x", "y"),
    ):
        plan = vacuum(layout, *keep_pinned(layout, layout.training))
    assert [item.version for item in plan.kept] == [1, 4]
    assert plan.files
    assert content(layout.training, 1) == all_versions[1]
    assert content(layout.training) == all_versions[4]
    pin(layout.training, 1)
    for version in (2, 3):
        with pytest.raises(SnapshotError, match=r"which is gone \(vacuumed\?\); pin a newer version"):
            pin(layout.training, version)


def test_what_was_removed_within_the_retention_stays(layout):
    before = everything(layout.training)
    assert vacuum(layout, before=now() - timedelta(hours=1)).files == ()
    assert everything(layout.training) == before
    assert vacuum(layout).files
    assert vacuum(layout).files == ()


def test_a_vacuum_leaves_strangers_files_and_those_of_runs_at_work_alone(layout):
    strangers = {aged(put(layout.training / name)) for name in ("notes.txt", f"../{CELL}/part-00000-new.parquet")}
    vacuum(layout)
    assert all(path.exists() for path in strangers)


def test_a_removal_that_a_checkpoint_forgot_is_still_known(layout):
    DeltaTable(layout.training).alter.set_table_properties(
        {"delta.deletedFileRetentionDuration": "interval 0 seconds"}, raise_if_not_exists=False
    )
    DeltaTable(layout.training).create_checkpoint()
    assert len(vacuum(layout).files) == 2


def test_a_version_that_the_log_forgot_is_told_and_hinders_nothing(layout):
    DeltaTable(layout.training).create_checkpoint()
    for version in (0, 1):
        (layout.training / f"_delta_log/{version:020}.json").unlink()
    plan = vacuum(layout, Keep(1, "a model"), Keep(77, "--keep-version"))
    assert [item.version for item in plan.kept] == [2]
    assert [item.version for item in plan.lost] == [1, 77]
    assert content(layout.training)


def test_the_job_keeps_what_the_model_and_the_predictions_rest_on(layout, capsys):
    build_day(layout, "r4", DAYS[1])
    build_day(layout, "r5", DAYS[0])
    build_day(layout, "r6", DAYS[1])
    before = versions(layout.training)
    manifest = {
        "model_version": "0" * 12, "code_version": "1", "table": "t", "table_version": 0, "snapshot_hash": "h",
        "feature_schema_hash": "f", "encoder_version": 1, "config_hash": "c", "files": {},
    }  # fmt: skip
    put(layout.bundle / "manifest.json", json.dumps(manifest))
    scored = training_rows("r2", DAYS[1]).append_column("snapshot_version", [[2] * 10])
    write_deltalake(layout.predictions, scored, partition_by=["modality", "slot", "date"])
    assert keep_scored(layout.predictions) == [Keep(2, "predictions were scored from it")]
    asked = [*command("vacuum", layout), "--retain", "0s"]
    with pytest.raises(MaintenanceError, match="--force"):
        main(asked)
    there = everything(layout.root)
    main([*asked, "--force", "--delete", "--keep-version", "3"])
    assert "keeps version     3  --keep-version" in capsys.readouterr().out
    main([*asked, "--force"])
    said = capsys.readouterr().out
    assert everything(layout.root) == there
    assert "keeps version     0  model 000000000000 was trained on it" in said
    assert "keeps version     2  predictions were scored from it" in said
    assert "nothing was removed; add --delete" in said
    main([*asked, "--force", "--delete"])
    for version in (0, 2, 5):
        assert content(layout.training, version) == before[version]
    for version in (3, 4):
        with pytest.raises(SnapshotError, match="gone"):
            pin(layout.training, version)


def test_the_job_keeps_what_an_interrupted_training_goes_on_with(layout, capsys):
    build_day(layout, "r4", DAYS[1])
    build_day(layout, "r5", DAYS[0])
    before = content(layout.training, 1)
    checkpoint = layout.checkpoints / checkpoint_name(new_run(layout.checkpoints), 1, 100)
    write_run_state(checkpoint, RunState({TABLE_VERSION: 1}, History(), [], []))
    asked = [*command("vacuum", layout), "--retain", "0s", "--force", "--delete"]
    main(asked)
    assert f"keeps version     1  checkpoint {checkpoint.name} goes on with it" in capsys.readouterr().out
    assert content(layout.training, 1) == before
    shutil.rmtree(checkpoint)
    main(asked)
    with pytest.raises(SnapshotError, match="gone"):
        pin(layout.training, 1)


def test_the_job_lists_and_removes_pins(layout, capsys):
    asked = command("pins", layout)
    with pinned(layout.pins, layout.training, 1, "train", "a test") as held:
        main(asked)
        assert f"{held.pin_id}  training version 1" in capsys.readouterr().out
        main([*asked, "--remove", held.pin_id, "--force"])
    assert "no version is pinned" in capsys.readouterr().out
