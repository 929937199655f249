"""The feature job with its training table in an object store: the rows, counts and stale days of one on a disk."""

from __future__ import annotations

import json
from datetime import date

import pytest

from camoe.contracts.layout import Layout
from camoe.contracts.runs import makers
from camoe.contracts.snapshot import logged
from features.delta.commit import open_delta
from features.delta.remote import rows_on
from features.maintenance.committed import orphan_rows, uncommitted
from jobs import maintain
from tests.features import lake
from tests.features.maintenance.upkeep import now
from tests.jobs.in_process import run_main
from tests.object_store import KEY_ID, SECRET, TOKEN

pytestmark = pytest.mark.slow

TABLE = "s3://lake/training"
INTO = f"training.table={TABLE}"
AS_OF = ("--as-of", "2026-02-01T00:00:00")
OF_THE_RUN = ("run_id", "table_version", "seconds")
DAYS = [date.fromisoformat(day) for day in lake.DAYS]


def told(folder):
    return {name: value for name, value in lake.counts(folder).items() if name not in OF_THE_RUN}


def there(spark, table):
    """The rows of the newest version, without their run."""
    found = rows_on(spark, table, open_delta(table).version(), DAYS)
    return sorted(found.drop("run_id").toJSON().collect(), key=lambda row: json.loads(row)["impression_id"])


def test_a_table_in_a_store_is_that_of_a_disk_run_by_run(spark, store, tmp_path, capfd):
    folders = {"local": (), "remote": (INTO,)}
    runs = (
        ("first", "--days", ",".join(lake.DAYS[:2])),
        ("second", "--days", ",".join(lake.DAYS[1:])),
        ("second", "--days", ",".join(lake.DAYS[1:])),
    )
    for folder, into in folders.items():
        lake.write_lake(tmp_path / folder)
        for run, *more in runs:
            assert lake.run_job(tmp_path / folder / "config.yaml", "--run-id", run, *more, *AS_OF, *into) == 0
    assert told(tmp_path / "remote") == told(tmp_path / "local")
    local = tmp_path / "local/out/training"
    assert [json.loads(row) for row in there(spark, TABLE)] == [json.loads(row) for row in there(spark, local)]
    assert makers(logged(TABLE)) == makers(logged(local))
    captured = capfd.readouterr()
    assert f"table       {TABLE} version " in captured.out
    assert "run second has committed its days already" in captured.out
    for secret in (KEY_ID, SECRET, TOKEN):
        assert secret not in captured.out + captured.err
    assert not (tmp_path / "remote/out/training").exists()
    # What belongs to the table lies in the lake, and maintenance knows which runs have committed.
    layout = Layout(tmp_path / "remote/out", None, TABLE)
    assert uncommitted(layout.table, ["first", "second", "never"]) == {"never"}
    assert orphan_rows(layout, now()) == ()
    assert run_main(maintain.main, tmp_path / "remote/config.yaml", "compact", INTO) == 2
    # Other settings would be another table.
    config = tmp_path / "remote/config.yaml"
    assert lake.run_job(config, INTO, "sources.objectives.click.window_s=60", "--replace", *AS_OF) == 2
    assert "build into another address" in capfd.readouterr().err
