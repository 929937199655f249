"""A version of a local Delta table is read once; a new one, and another table in its place, are not taken for it."""

from __future__ import annotations

import shutil

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from deltalake.exceptions import TableNotFoundError

from camoe.contracts.storage import delta_table, error_detail, newest_version, remedy


def write(table, rows):
    write_deltalake(table, pa.table({"x": list(range(rows))}), mode="append")


def rows_of(table, version=None):
    return sum(pa.table(delta_table(str(table), version).get_add_actions(flatten=True))["num_records"].to_pylist())


def test_a_version_is_read_once_and_the_newest_is_always_the_newest(tmp_path):
    table = tmp_path / "t"
    write(table, 1)
    first = delta_table(str(table))
    assert delta_table(str(table)) is first
    assert delta_table(str(table), 0) is first
    write(table, 2)
    assert (delta_table(str(table)).version(), rows_of(table), rows_of(table, 0)) == (1, 3, 1)
    assert newest_version(str(table)) == 1


def test_a_table_that_is_made_anew_is_read_anew(tmp_path):
    table = tmp_path / "t"
    write(table, 1)
    assert rows_of(table) == 1
    shutil.rmtree(table)
    with pytest.raises(TableNotFoundError):
        delta_table(str(table))
    write(table, 5)
    assert rows_of(table) == 5


def test_a_log_without_a_commit_has_no_version(tmp_path):
    assert newest_version(str(tmp_path)) is None
    (tmp_path / "_delta_log").mkdir()
    (tmp_path / "_delta_log/.00000000000000000000.json.tmp").touch()
    (tmp_path / "_delta_log/00000000000000000000.00000000000000000003.compacted.json").touch()
    assert newest_version(str(tmp_path)) is None


def test_what_a_store_answers_is_told_once_and_without_credentials_it_says_so():
    asked = OSError("Generic S3 error: PUT http://169.254.169.254/latest: 403\n\nDebug source:\nGeneric { x }")
    assert error_detail(asked).endswith("/latest: 403")
    assert remedy(asked).startswith("no credentials are there: give AWS_ACCESS_KEY_ID")
    assert remedy(PermissionError("refused")).startswith("look at the address, region, credentials and rights")
    assert remedy(OSError("a damaged file")) is None
