"""The feature job with `out` in an object store: what it writes there is what it writes on a disk, run by run."""

from __future__ import annotations

import json
import re
import signal
from datetime import date

import pytest
from pyspark.sql import functions as F

from camoe.contracts import encoder as encoders
from camoe.contracts.layout import COPIES, Layout
from camoe.contracts.places.objects import path_at
from camoe.contracts.runs import active_records, makers, stale_days
from camoe.contracts.snapshot import logged, pin
from features.delta.commit import latest_version
from features.delta.remote import rows_in
from features.history.store import stored_blocks, stored_days
from features.tables.side import days_of_runs
from jobs import maintain
from tests.features import lake
from tests.features.history.declared import HISTORY, SEQUENCES
from tests.features.real_job import Job
from tests.jobs.in_process import run_main
from tests.object_store import KEY_ID, SECRET, TOKEN, copied, nth

pytestmark = pytest.mark.slow

OUT = "s3://lake/mine"
AS_OF = ("--as-of", "2026-02-01T00:00:00")
OF_THE_RUN = ("run_id", "table_version", "seconds")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """What is copied from the store, and what never lies there."""
    monkeypatch.setenv("CAMOE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def dirty(folder, **more):
    """A lake with rows that are refused, one of them of no day; with a history and sequences."""
    clean = lake.impressions()
    bad = [{**clean[0], "id": "no-user", "user": None}, {**clean[0], "id": "roof", "slot": "roof"}, clean[3]]
    lake.write_lake(folder, impressions=[*clean, *bad])
    with (folder / "raw/impressions.json").open("a") as log:
        log.write('{"id": "cut", "us\n')
    settings = {**lake.config(folder), **more}
    settings["features"] |= {"history": HISTORY, "sequence": SEQUENCES}
    return lake.write_config(folder, settings)


@pytest.fixture
def places(store, tmp_path):
    """The configurations of a lake on a disk and of the same one in the store, its raw tables included."""
    local = dirty(tmp_path / "local")
    copied(tmp_path / "local/raw", f"{OUT}/raw")
    remote = dirty(tmp_path / "remote", out=OUT, input=None)
    return {local: Layout(tmp_path / "local/out"), remote: Layout(path_at(OUT))}


def told(layout):
    counted = json.loads((layout.root / "counts.json").read_bytes())["build_features"]
    return {name: value for name, value in counted.items() if name not in OF_THE_RUN}


def rows(spark, table, *without):
    """The rows of the newest version of a table."""
    if isinstance(table, str) or str(table).startswith("s3:"):
        found = rows_in(spark, str(table), latest_version(table), {})
    else:
        found = spark.read.format("delta").load(str(table))
    shown = found.select(*sorted(found.columns)).drop("run_id", "run_at", *without)
    return sorted(row[0] for row in shown.select(F.to_json(F.struct("*"), {"ignoreNullFields": "false"})).collect())


def refused(spark, layout):
    return [re.sub(r"(file:/+|s3://)\S*?/raw/", "RAW/", row) for row in rows(spark, layout.quarantine)]


def without_secrets(capfd):
    said = capfd.readouterr()
    for secret in (KEY_ID, SECRET, TOKEN):
        assert secret not in said.out + said.err
    return said


def require_equal(spark, here, there):
    assert told(there) == told(here)
    assert rows(spark, there.training) == rows(spark, here.training)
    assert refused(spark, there) == refused(spark, here)
    assert rows(spark, there.profiles) == rows(spark, here.profiles)
    assert {day for day, _ in days_of_runs(there.profiles)} == {day for day, _ in days_of_runs(here.profiles)}
    assert encoders.read(there.encoder) == encoders.read(here.encoder)
    (mine,), (theirs,) = ([*layout.history.iterdir()] for layout in (here, there))
    assert mine.name == theirs.name
    assert stored_days(theirs).keys() == stored_days(mine).keys()
    assert stored_blocks(theirs).keys() == stored_blocks(mine).keys()
    assert rows(spark, theirs / "events") == rows(spark, mine / "events")
    reports = [json.loads((layout.feature_report / "features.json").read_bytes()) for layout in (here, there)]
    assert reports[0]["features"] == reports[1]["features"]
    assert (there.feature_report / "index.html").is_file()


def test_a_lake_in_a_store_is_that_of_a_disk_run_by_run(spark, places, tmp_path, capfd, monkeypatch, cache):
    monkeypatch.chdir(tmp_path)
    runs = (
        ("first", "--days", ",".join(lake.DAYS[:2])),
        ("second", "--days", ",".join(lake.DAYS[1:])),
        ("second", "--days", ",".join(lake.DAYS[1:])),
    )
    here, there = places.values()
    for run, *more in runs:
        for config in places:
            assert lake.run_job(config, "--run-id", run, *more, *AS_OF) == 0
        require_equal(spark, here, there)
    said = without_secrets(capfd)
    assert said.out.count("run second has committed its days already") == 2
    assert f"table       {OUT}/training version " in said.out
    # Rows of days that the second run built again are the first one's no more.
    assert days_of_runs(there.profiles) == days_of_runs(here.profiles)
    records = active_records(logged(there.table), there.runs)
    assert {record.run_id for record in records.values()} == {"first", "second"}
    assert stale_days(records) == {}
    # With other settings it would be another table.
    remote = [*places][1]
    assert lake.run_job(remote, "sources.objectives.click.window_s=60", "--replace", *AS_OF) == 2
    assert "build into another address" in capfd.readouterr().err
    assert lake.run_job(remote, "--missing", "--days", lake.DAYS[0], *AS_OF) == 0
    assert f"{OUT}/training has all of these days" in capfd.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {"local", "remote", "cache"}
    assert not [*cache.rglob(COPIES)]
    assert not [path for path in there.runs.iterdir() if path.suffix == ".lock"]


def test_days_that_rest_on_changed_rows_are_stale_there_too(spark, places, tmp_path, capfd):
    remote, there = [*places][1], [*places.values()][1]
    assert lake.run_job(remote, *AS_OF) == 0
    changed = [{**row, "plays": row["plays"] + 50} for row in lake.users()]
    lake.write(tmp_path / "changed/users.json", changed)
    (there.raw / "users.json").upload(tmp_path / "changed/users.json")
    assert lake.run_job(remote, "--days", lake.DAYS[0], *AS_OF) == 0
    assert "stale       2026-01-02" in capfd.readouterr().out
    assert lake.run_job(remote, "--days", lake.DAYS[0], "--cascade", *AS_OF) == 0
    assert "stale       no days" in capfd.readouterr().out
    assert stale_days(active_records(logged(there.table), there.runs)) == {}


# Where in the run, by the request to the store at which it is killed; whether the store had done what it was asked, and
# whether the run had committed then.
KILLED = {
    "the encoder": ("PUT /lake/mine/encoder/", True, False),
    "rows of the profiles": ("PUT /lake/mine/profiles/_delta_log", True, False),
    "the record": ("PUT /lake/mine/runs/killed", False, False),
    "before the commit": ("PUT /lake/mine/training/_delta_log", False, False),
    "after the commit": ("PUT /lake/mine/training/_delta_log", True, True),
}


@pytest.fixture
def plain(store, tmp_path):
    """The configuration of a lake whose tables lie in the store; the raw ones on a disk."""
    lake.write_lake(tmp_path / "lake")
    return lake.write_config(tmp_path / "lake", {**lake.config(tmp_path / "lake"), "out": OUT})


def test_lost_answers_change_nothing(spark, store, plain):
    there = Layout(path_at(OUT))
    for number, name in enumerate(("encoder/", "profiles/_delta_log", "runs/r", "training/_delta_log")):
        store.fault = nth(0, "lost", f"PUT /lake/mine/{name}")
        changed = [{**row, "plan": f"{row['plan']}{number}"} for row in lake.users()]
        lake.write(plain.parent / "raw/users.json", changed)
        assert lake.run_job(plain, "--run-id", f"r{number}", "--days", lake.DAYS[0], *AS_OF) == 0
        assert store.done == ["lost"]
        store.begin()
        assert days_of_runs(there.profiles) == {(date.fromisoformat(lake.DAYS[0]), f"r{number}")}
        assert pin(there.table).rows == lake.ROWS_A_DAY
        assert pin(there.table).version == number + 1


def killed(store, folder, config, name, part, done):
    """Run the job until it is killed at the first request that holds `part`."""
    jobs = []

    def fault(line):
        if part not in line or not jobs:
            return None
        jobs[0].signal(signal.SIGKILL)
        return "lost" if done else "403 AccessDenied"

    store.fault = fault
    jobs.append(Job(folder, config, "--run-id", name, "--days", ",".join(lake.DAYS[:2]), *AS_OF))
    assert jobs[0].process.wait(timeout=600) < 0, jobs[0].said()
    assert store.done
    store.begin()


def test_a_killed_job_leaves_the_old_or_the_new_version_and_the_next_run_succeeds(spark, store, plain, tmp_path, capfd):
    there, days = Layout(path_at(OUT)), ("--days", ",".join(lake.DAYS[:2]))
    assert lake.run_job(plain, "--run-id", "before", *days, *AS_OF) == 0
    for number, (place, (part, done, commits)) in enumerate(KILLED.items(), 1):
        old, before = rows(spark, there.training), pin(there.table).version
        # What is built from now on differs from all that was built before.
        changed = [{**row, "plays": row["plays"] + 100 * number, "plan": f"p{number}"} for row in lake.users()]
        lake.write(plain.parent / "raw/users.json", changed)
        killed(store, tmp_path / f"killed{number}", plain, f"killed{number}", part, done)
        assert pin(there.table).version == before + commits, place
        require_whole(there)
        assert commits or rows(spark, there.training) == old, place

        assert lake.run_job(plain, "--run-id", f"killed{number}", *days, *AS_OF) == 0
        assert pin(there.table).version == before + 1, place
        require_whole(there)
        assert rows(spark, there.training) != old, place
        assert set(makers(logged(there.table)).values()) == {frozenset({f"killed{number}"})}
    orphans = lambda argv: maintain.main(["orphans", "--older-than", "0s", *argv])  # noqa: E731
    for _ in range(2):
        assert run_main(orphans, plain, "--delete") == 0
    said = capfd.readouterr().out
    assert {"data file", "unfinished folder"} <= {line.partition(":")[0] for line in said.splitlines()}
    assert said.splitlines()[-1] == "nothing was left behind"
    assert len(rows(spark, there.training)) == 2 * lake.ROWS_A_DAY


def require_whole(layout):
    """What the table names is there: the record of each run, an encoder that is whole, and the counts of each day."""
    records = active_records(logged(layout.table), layout.runs)
    for version in {record.encoder_version for record in records.values()}:
        assert encoders.read(layout.encoder, version).version == version
    assert {(day, record.run_id) for day, record in records.items()} <= days_of_runs(layout.profiles)
    for version in range(1, encoders.latest_version(layout.encoder) + 1):
        assert encoders.read(layout.encoder, version).version == version
