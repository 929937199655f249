"""The commit of a run to a training table in an object store: made once, by one run, and of sound rows alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta

import pyarrow as pa
import pytest
from pyspark.sql import functions as F

from camoe.contracts.errors import CamoeError, InputError
from camoe.contracts.runs import makers
from camoe.contracts.schema import FEATURE_SCHEMA_PROPERTY, SETTINGS_PROPERTY, SLOTS_PROPERTY
from camoe.contracts.slots import SlotCatalogue
from camoe.contracts.snapshot import is_delta_table, logged, pin
from features.delta.commit import CommitMetadata, commit_after, has_committed, open_delta
from features.delta.remote import rows_on
from features.spark.failures import SPARK_FAILURES, first_line
from features.tables import remote
from features.tables.remote import replace_remote_days
from features.tables.replace import ConcurrentRunError, DayReplacement
from features.tables.training import TrainingTable, is_remade
from tests.object_store import nth

pytestmark = pytest.mark.slow

DAYS = [date(2026, 1, 1) + timedelta(days=number) for number in range(3)]
ROWS = 10


def slots(*names):
    return SlotCatalogue.model_validate({"slots": [{"id": name, "name": name, "modality": "video"} for name in names]})


def target(address, settings="s", known=("feed",), **changes):
    properties = {
        FEATURE_SCHEMA_PROPERTY: "f",
        SLOTS_PROPERTY: slots(*known).listing(),
        SETTINGS_PROPERTY: settings,
    }
    return TrainingTable(address, properties, slots(*known), ("click",), **changes)


def rows(spark, run, days, slot="feed", label=1):
    columns = {"run_id": F.lit(run), "modality": F.lit("video"), "slot": F.lit(slot)}
    keys = spark.range(ROWS).select(F.concat(F.lit(run), F.col("id")).alias("impression_id"))
    dated = keys.crossJoin(spark.createDataFrame([(day,) for day in days], "date date")).repartition("date")
    lists = {"seen": F.array(F.lit(1), F.lit(2)), "label_click": F.lit(label).cast("tinyint")}
    return dated.withColumns({**columns, **lists}).sortWithinPartitions("date", "impression_id")


def run(name):
    return CommitMetadata(name, "c", "raw", {"impressions": "1"})


@pytest.fixture
def found(store, tmp_path):
    """What a run finds at the address of the test's own."""

    def look(days=DAYS[:2], **changes):
        table = target(f"s3://lake/{tmp_path.name}", **changes)
        there = logged(table.path) if is_delta_table(table.path) else None
        version, before = (there.version, makers(there)) if there else (-1, {})
        return DayReplacement(table, tuple(days), version, before, 4, tmp_path / "runs")

    return look


def by_run(spark, found):
    """The number of rows of each (day, run) in the newest version, as Spark reads them."""
    address = found().target.path
    table = rows_on(spark, address, open_delta(address).version(), DAYS)
    return Counter((row.date, row.run_id) for row in table.collect())


def test_days_are_replaced_and_a_run_commits_once(spark, found):
    first = replace_remote_days(rows(spark, "r1", DAYS[:2]), found(), run("r1"))
    assert first.rows == 2 * ROWS
    before = found(DAYS[1:])
    second = replace_remote_days(rows(spark, "r2", DAYS[1:]), before, run("r2"))
    assert (second.version, second.rows) == (first.version + 1, 2 * ROWS)
    expected = Counter({(DAYS[0], "r1"): ROWS, (DAYS[1], "r2"): ROWS, (DAYS[2], "r2"): ROWS})
    assert by_run(spark, found) == expected
    # A retry gives the same commit, and writes nothing, although other rows are given.
    assert replace_remote_days(rows(spark, "other", DAYS[1:]), before, run("r2")) == second
    assert by_run(spark, found) == expected
    address = found().target.path
    assert has_committed(address, "r1")
    assert not has_committed(address, "r3")
    assert commit_after(address, -1, run("r1")) == first
    snapshot = pin(address)
    assert makers(snapshot) == {DAYS[0]: {"r1"}, DAYS[1]: {"r2"}, DAYS[2]: {"r2"}}
    # No file has more rows than it should, nor more than one row group.
    assert sorted(file.row_groups for file in snapshot.files) == [(2,), (2,), (2,), *[(4,)] * 6]
    types = pa.schema(open_delta(address).schema().to_arrow())
    assert types.field("label_click").type == pa.int8()


def test_what_another_run_replaced_meanwhile_is_not_replaced(spark, found, monkeypatch):
    replace_remote_days(rows(spark, "r1", DAYS[:2]), found(), run("r1"))
    late = found(DAYS[:1])
    replace_remote_days(rows(spark, "r2", DAYS[:1]), found(DAYS[:1]), run("r2"))
    with pytest.raises(ConcurrentRunError, match=r"another run replaced the same days meanwhile: 2026-01-01"):
        replace_remote_days(rows(spark, "r3", DAYS[:1]), late, run("r3"))

    # Another one commits while this one writes: to the same day it is in the way, to another day it is not.
    class Alone:
        def __init__(self, *_days):
            pass

        def __enter__(self):
            pass

        def __exit__(self, *_error):
            pass

    monkeypatch.setattr(remote, "days_alone", Alone)
    whole = remote.written

    def meanwhile(day, name):
        def write(frame, table):
            monkeypatch.setattr(remote, "written", whole)
            replace_remote_days(rows(spark, name, [day]), found([day]), run(name))
            return whole(frame, table)

        monkeypatch.setattr(remote, "written", write)

    meanwhile(DAYS[0], "r4")
    with pytest.raises(ConcurrentRunError, match=r"another job wrote to s3://\S+ at the same moment; nothing of this"):
        replace_remote_days(rows(spark, "r5", DAYS[:1]), found(DAYS[:1]), run("r5"))
    meanwhile(DAYS[1], "r6")
    replace_remote_days(rows(spark, "r7", DAYS[:1]), found(DAYS[:1]), run("r7"))
    assert by_run(spark, found) == Counter({(DAYS[0], "r7"): ROWS, (DAYS[1], "r6"): ROWS})


def test_two_first_commits_make_one_table_and_one_of_other_settings_none(spark, found, monkeypatch):
    whole = remote.written

    def write(frame, table):
        monkeypatch.setattr(remote, "written", whole)
        other = replace(found(DAYS[1:]), runs=found().runs.with_name("elsewhere"))
        replace_remote_days(rows(spark, "r1", DAYS[1:]), other, run("r1"))
        return whole(frame, table)

    monkeypatch.setattr(remote, "written", write)
    replace_remote_days(rows(spark, "r2", DAYS[:1]), found(DAYS[:1]), run("r2"))
    assert by_run(spark, found) == Counter({(DAYS[0], "r2"): ROWS, (DAYS[1], "r1"): ROWS, (DAYS[2], "r1"): ROWS})
    for change in ({"settings": "other"}, {"settings": "other", "replace": True}):
        with pytest.raises(InputError, match=r"built with other settings .*; build into another address"):
            is_remade(found(**change).target)
        with pytest.raises(InputError, match=r"build into another address"):
            replace_remote_days(rows(spark, "r3", DAYS[:1]), found(DAYS[:1], **change), run("r3"))


def test_a_row_that_breaks_a_constraint_is_not_written(spark, found):
    for broken in ({"slot": "roof"}, {"label": 2}):
        with pytest.raises(SPARK_FAILURES) as caught:
            replace_remote_days(rows(spark, "r1", DAYS[:1], **broken), found(DAYS[:1]), run("r1"))
        assert "a row breaks delta.constraints." in first_line(caught.value)
    assert not is_delta_table(found().target.path)
    nameless = rows(spark, "r1", DAYS[:1]).withColumn("impression_id", F.lit(None).cast("string"))
    with pytest.raises(SPARK_FAILURES):
        replace_remote_days(nameless.select(*rows(spark, "r1", DAYS[:1]).columns), found(DAYS[:1]), run("r1"))
    assert not is_delta_table(found().target.path)


def test_slots_are_appended(spark, found):
    replace_remote_days(rows(spark, "r1", DAYS[:1]), found(DAYS[:1]), run("r1"))
    more = found(DAYS[1:2], known=("feed", "break"))
    replace_remote_days(rows(spark, "r2", DAYS[1:2], slot="break"), more, run("r2"))
    assert more.target.found()[SLOTS_PROPERTY] == slots("feed", "break").listing()
    with pytest.raises(InputError, match="slots may be appended"):
        replace_remote_days(rows(spark, "r3", DAYS[1:2]), found(DAYS[1:2]), run("r3"))
    assert by_run(spark, found) == Counter({(DAYS[0], "r1"): ROWS, (DAYS[1], "r2"): ROWS})


@pytest.mark.parametrize("part", ["/part-", "/_delta_log"])
def test_a_lost_answer_changes_nothing_and_a_refusal_leaves_nothing(spark, store, found, part):
    replace_remote_days(rows(spark, "r1", DAYS[:1]), found(DAYS[:1]), run("r1"))
    name = found().target.path.rpartition("/")[2]
    store.fault = nth(0, "lost", f"PUT /lake/{name}{part}")
    replace_remote_days(rows(spark, "r2", DAYS[:1]), found(DAYS[:1]), run("r2"))
    assert store.done == ["lost"]
    store.fault = lambda line: "403 AccessDenied" if f"PUT /lake/{name}{part}" in line else None
    with pytest.raises((CamoeError, *SPARK_FAILURES)):
        replace_remote_days(rows(spark, "r3", DAYS[:1]), found(DAYS[:1]), run("r3"))
    store.begin()
    assert by_run(spark, found) == Counter({(DAYS[0], "r2"): ROWS})
