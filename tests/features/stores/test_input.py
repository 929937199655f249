"""A raw lake in an object store: what is built, counted and quarantined is what a local lake gives, in each format."""

from __future__ import annotations

import json
import re
import shutil
from itertools import count
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from pyspark.sql import functions as F

from camoe.contracts.layout import COPIES
from camoe.contracts.places.store import open_place
from camoe.contracts.runs import read_record
from tests.features import lake
from tests.features.real_job import Job
from tests.object_store import KEY_ID, SECRET, TOKEN, always, copied

pytestmark = pytest.mark.slow

RAW = "s3://lake/raw"
# Of each run its own, and of each table the place.
OF_THE_RUN = ("run_id", "as_of", "label_as_of", "seconds")


def told(folder):
    """What a run counted, without what is the run's own."""
    return {name: value for name, value in lake.counts(folder).items() if name not in OF_THE_RUN}


def rows(spark, folder):
    table = spark.read.format("delta").load(str(folder / "out/training")).drop("run_id", "label_as_of")
    return sorted(table.select(F.to_json(F.struct("*"), {"ignoreNullFields": "false"})).collect())


def refused(spark, folder):
    """The quarantine: raw rows, with addresses in the place of the files that they came from."""
    here = rf"file:(//)?{re.escape(str(folder / 'raw'))}"
    return sorted((re.sub(here, RAW, row.raw), sorted(row.reasons)) for row in lake.quarantine(spark, folder))


def require_equal(spark, local, remote):
    # Hashes of a day leave the run out, as do counts.
    assert told(remote) == told(local)
    assert rows(spark, remote) == rows(spark, local)
    assert refused(spark, remote) == refused(spark, local)
    assert not (remote / "out" / COPIES).exists()


def without_secrets(capfd):
    captured = capfd.readouterr()
    for secret in (KEY_ID, SECRET, TOKEN):
        assert secret not in captured.out + captured.err
    return captured


def dirty(folder):
    """A lake of JSON lines with rows that are refused, one of them no JSON."""
    clean = lake.impressions()
    bad = [{**clean[0], "id": "no-user", "user": None}, {**clean[0], "id": "roof", "slot": "roof"}, clean[3]]
    file = lake.write_lake(folder, impressions=[*clean, *bad])
    with (folder / "raw/impressions.json").open("a") as log:
        log.write('{"id": "cut", "us\n')
    (folder / "raw/_SUCCESS").write_text("")
    return file


def test_a_lake_of_json_is_built_as_a_local_one_is(spark, store, tmp_path, capfd):
    local, remote = tmp_path / "local", tmp_path / "remote"
    file = dirty(local)
    copied(local / "raw", RAW)
    assert lake.run_job(file, "--as-of", "2026-02-01T00:00:00") == 0
    asked = count()
    # Every other answer, whoever asks: the check, and the tasks that copy.
    store.fault = lambda line: "cut" if "GET /lake/raw/impressions" in line and next(asked) % 2 == 0 else None
    remote.mkdir()
    again = lake.write_config(remote, {**lake.config(remote), "input": "s3a://lake/raw"})
    assert lake.run_job(again, "--as-of", "2026-02-01T00:00:00") == 0
    assert len(store.done) > 1
    require_equal(spark, local, remote)
    said = without_secrets(capfd)
    assert "copying 1 files of s3://lake/raw/impressions.json" in said.out
    run = read_record(remote / "out/runs", lake.counts(remote)["run_id"])
    assert (run.input, run.logs) == (RAW, ("impressions.json",))
    assert any(json.loads(raw).get("_file") == f"{RAW}/impressions.json" for raw, _ in refused(spark, remote))


def mixed(folder):
    """A lake of parquet by day and hour, Delta by day and with files of no version, gzipped CSV, and JSON."""
    file, settings = lake.write_lake(folder), lake.config(folder)
    raw = folder / "raw"
    for day in lake.DAYS:
        own = [row for row in lake.impressions() if row["ts"].startswith(day)]
        for hour, part in (("12", own[:20]), ("13", own[20:])):
            (raw / f"log/date={day}/hour={hour}").mkdir(parents=True)
            pq.write_table(pa.Table.from_pylist(part), raw / f"log/date={day}/hour={hour}/a.parquet")
        (raw / f"log/date={day}/_SUCCESS").write_text("")
    with pa.output_stream(raw / "users.csv.gz", compression="gzip") as packed:
        pc.write_csv(pa.Table.from_pylist(lake.users()), packed)
    for mode in ("append", "overwrite"):
        by_day = pa.Table.from_pylist([{**row, "day": row["ts"][:10]} for row in lake.outcomes()])
        write_deltalake(raw / "clicks", by_day, partition_by=["day"], mode=mode)
    sources = settings["sources"]
    sources["impressions"] |= {"path": "log/date={day}", "format": "parquet"}
    sources["outcomes"] |= {"path": "clicks", "format": "delta", "day_column": "day"}
    sources["entities"]["user"] |= {"path": "users.csv.gz", "format": "csv", "options": {"header": "true"}}
    sources["entities"]["user"]["columns"] |= {"plays": "cast(plays as double)"}
    for name in ("impressions.json", "outcomes.json", "users.json"):
        (raw / name).unlink()
    return file, settings


def test_a_lake_of_all_formats_is_built_as_a_local_one_is_day_by_day(spark, store, tmp_path):
    local, remote = tmp_path / "local", tmp_path / "remote"
    settings = mixed(local)[1]
    lake.write_config(local, settings)
    copied(local / "raw", RAW)
    # One table has an address of its own, beside a local lake.
    (remote / "raw").mkdir(parents=True)
    shutil.copy(local / "raw/campaigns.json", remote / "raw")
    there = json.loads(json.dumps(settings).replace(str(local), str(remote)))
    for name, table in (*there["sources"].items(), *there["sources"]["entities"].items()):
        if name in {"impressions", "outcomes", "user"}:
            table["path"] = f"{RAW}/{table['path']}"
    lake.write_config(remote, there)
    # Outcomes of a day's last hour lie on the next one, which had not begun then.
    for days, outcomes in ((lake.DAYS[:2], lake.DAYS[:3]), (lake.DAYS[2:], lake.DAYS[2:])):
        store.begin()
        for folder in (local, remote):
            asked = ("--days", ",".join(days), "--as-of", "2026-01-04T22:30:00")
            assert lake.run_job(folder / "config.yaml", *asked) == 0
        require_equal(spark, local, remote)
        read = [unquote(line) for line in store.lines if line.startswith("GET /lake/raw/")]
        # Of the Delta table the files of the version and of these days; of the log no day after them.
        data = {line for line in read if "raw/clicks/day=" in line}
        assert sorted(line.partition("day=")[2][:10] for line in data) == sorted(outcomes)
        assert max(line.partition("date=")[2][:10] for line in read if "raw/log/" in line) == days[-1]
        assert not any("_SUCCESS" in line for line in read)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda place: place.delete(["raw/impressions.json"]), "impressions: s3://lake/raw/impressions.json does not"),
        (lambda place: place.delete(["raw/users.json"]), "user: s3://lake/raw/users.json does not exist"),
    ],
)
def test_what_is_missing_is_named_by_its_address(spark, store, tmp_path, capfd, change, match):
    dirty(tmp_path)
    copied(tmp_path / "raw", RAW)
    change(open_place("s3://lake"))
    assert lake.run_job(tmp_path / "config.yaml", f"input={RAW}") == 2
    assert match in without_secrets(capfd).err
    assert not (tmp_path / "out/training").exists()
    assert not (tmp_path / "out" / COPIES).exists()


def test_a_store_that_fails_for_good_is_told_in_a_line(spark, store, tmp_path, capfd):
    dirty(tmp_path)
    copied(tmp_path / "raw", RAW)
    store.fault = always("503 SlowDown", "GET /lake/raw/outcomes.json")
    assert lake.run_job(tmp_path / "config.yaml", f"input={RAW}") == 2
    said = without_secrets(capfd).err
    assert "try again when the store answers" in said
    assert "Traceback" not in said
    assert not (tmp_path / "out" / COPIES).exists()


def test_a_run_that_was_killed_while_it_copied_leaves_nothing_to_the_next(store, tmp_path):
    file = dirty(tmp_path / "lake")
    copied(tmp_path / "lake/raw", RAW)
    copies = tmp_path / "lake/out" / COPIES
    one = copies / "first/lake/raw/impressions.json"
    store.fault = lambda line: "silence" if "GET /lake/raw/outcomes.json" in line and one.exists() else None
    job = Job(tmp_path / "killed", file, f"input={RAW}", "--run-id", "first")
    job.until(lambda: "silence" in store.done)
    job.kill()
    assert (copies / "first").is_dir()
    store.begin()
    again = Job(tmp_path / "again", file, f"input={RAW}", "--run-id", "second")
    assert again.code() == 0, again.said()
    assert not copies.exists()
    assert lake.counts(tmp_path / "lake")["run_id"] == "second"
