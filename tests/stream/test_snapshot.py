"""Tables that a reader of files would get wrong are refused before the first step, by table, version, file, remedy."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta

import pytest

from camoe.contracts.errors import SnapshotError
from camoe.contracts.features import FeatureSet
from camoe.contracts.schema import FEATURE_SCHEMA_PROPERTY
from camoe.contracts.snapshot import logged, opened, pin
from camoe.train.data.training_inputs import require_features
from tests.stream.lake import FIRST_DAY, write_table


@pytest.fixture
def table(tmp_path):
    return write_table(tmp_path / "t", [(slot, day, [10, 10]) for slot in range(2) for day in range(2)])


def commit(table, *actions):
    """Append a version to the table's log."""
    version = len(list((table / "_delta_log").glob("*.json")))
    (table / f"_delta_log/{version:020d}.json").write_text("\n".join(map(json.dumps, actions)))


def needing(*features):
    return {
        "protocol": {
            "minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": features
        }
    }  # fmt: skip


def with_properties(table, **properties):
    lines = (table / f"_delta_log/{0:020d}.json").read_text().splitlines()
    metadata = next(action["metaData"] for action in map(json.loads, lines) if "metaData" in action)
    return {"metaData": metadata | {"configuration": {f"delta.{name}": value for name, value in properties.items()}}}


def refused(table, *words):
    with pytest.raises(SnapshotError) as caught:
        pin(table)
    message = str(caught.value)
    assert "\n" not in message
    assert str(table) in message
    for word in words:
        assert word in message


@pytest.mark.parametrize("feature", ["deletionVectors", "columnMapping", "timestampNtz"])
def test_a_reader_feature_that_file_readers_lack(table, feature):
    commit(table, needing(feature))
    refused(table, "version 1", feature, "rebuild it without")


def test_a_reader_feature_that_nobody_knows(table):
    commit(table, needing("fancyNew"))
    refused(table, "fancyNew", "rebuild the table without")


def test_a_reader_version_that_nobody_knows(table):
    commit(table, {"protocol": {"minReaderVersion": 9, "minWriterVersion": 9}})
    refused(table, "reader version 9", "rebuild the table without")


def test_deletion_vectors_that_are_switched_on(table):
    commit(table, with_properties(table, enableDeletionVectors="true"))
    refused(table, "version 1", "deleted rows would come back", "rebuild it without")


def test_column_mapping_that_is_switched_on(table):
    commit(table, {"protocol": {"minReaderVersion": 2, "minWriterVersion": 5}})
    commit(table, with_properties(table, **{"columnMapping.mode": "name"}))
    refused(table, "olumn mapping", "rebuild")


def test_a_vacuumed_file(table):
    next(table.rglob("part-0002.parquet")).unlink()
    refused(table, "version 0", "part-0002.parquet", "gone (vacuumed?)", "pin a newer version")


def test_a_lost_file_hinders_only_those_who_want_its_day(table):
    whole = pin(table)
    lost = next(file for file in whole.files if file.day == FIRST_DAY)
    (table / lost.path).unlink()
    later = [file.day for file in whole.files if file.day > FIRST_DAY]
    assert opened(logged(table), later) == whole.on(later)
    with pytest.raises(SnapshotError, match=r"gone \(vacuumed\?\)"):
        opened(logged(table), [FIRST_DAY])


def test_of_some_days_the_log_gives_their_files_alone(table):
    whole = logged(table)
    for days in ([FIRST_DAY], sorted({file.day for file in whole.files})[1:], [FIRST_DAY - timedelta(days=9)]):
        found = logged(table, days=days)
        assert found.files == tuple(file for file in whole.files if file.day in days)
        assert (found.version, found.properties, found.columns) == (whole.version, whole.properties, whole.columns)


def test_a_truncated_file(table):
    victim = next(table.rglob("part-0002.parquet"))
    victim.write_bytes(victim.read_bytes()[:-100])
    refused(table, "version 0", "part-0002.parquet", "is damaged", "rebuild its day")


def test_a_file_whose_rows_are_not_those_of_the_log(table):
    victim, other = (next(table.rglob(f"part-000{number}.parquet")) for number in (2, 3))
    shorter = write_table(table.parent / "shorter", [(1, 0, [9])])
    victim.write_bytes(next(shorter.rglob("*.parquet")).read_bytes())
    refused(table, "version 0", "part-0002.parquet", "holds 9 rows", "says 20", "rebuild its day")
    assert other.exists()


def test_a_file_whose_rows_the_log_does_not_count(table):
    """As when Spark wrote it without statistics."""
    written = next(table.rglob("part-0002.parquet"))
    again = written.with_name("part-0009.parquet")
    shutil.copy(written, again)
    partition = dict(folder.split("=") for folder in written.relative_to(table).parts[:-1])
    action = {"path": again.relative_to(table).as_posix(), "partitionValues": partition, "dataChange": True}
    commit(table, {"add": action | {"size": again.stat().st_size, "modificationTime": 0}})
    refused(table, "version 1", "does not say how many rows", "part-0009.parquet has", "with statistics on")


def test_a_folder_without_a_log(tmp_path):
    refused(tmp_path, "no Delta table", "run jobs/build_features.py first")


def test_a_partition_folder_in_place_of_the_table(table):
    refused(table / "modality=m0", "no Delta table", f"it is a part of {table}: give that table")


def test_a_version_that_does_not_exist(table):
    with pytest.raises(SnapshotError, match=r"/t version 7 cannot be read .*; choose a version that the log still has"):
        pin(table, 7)


def test_rows_made_from_other_features(table):
    commit(table, with_properties(table))
    with pytest.raises(SnapshotError, match="/t version 1 was made from feature schema None, this run wants"):
        require_features(pin(table), FeatureSet.model_validate({"numeric": [{"name": "n", "sql": "n"}]}), {})
    assert FEATURE_SCHEMA_PROPERTY not in pin(table).properties


def test_a_day_without_rows_is_refused_by_name(table):
    with pytest.raises(SnapshotError, match="/t version 0 has no rows on 2026-02-01; build the features of these days"):
        pin(table).on([FIRST_DAY, FIRST_DAY.replace(month=2)])
