"""Scoring of a pinned version, whatever becomes of the table meanwhile."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from camoe.contracts.places.pins import pinned
from camoe.contracts.snapshot import is_delta_table, logged, pin
from camoe.score.local import score_snapshot
from camoe.score.scorer import read_model
from jobs import maintain, score
from tests.jobs.in_process import run_main
from tests.score.pipeline import DAYS, write_scorable


@pytest.fixture
def pipeline(tmp_path):
    return write_scorable(tmp_path)


def build_again(pipeline, day):
    """As if the feature job had built a day from other rows."""
    files = [file for file in pipeline.snapshot.files if file.day == day]
    parts = []
    for file in files:
        rows = pq.ParquetFile(file.path).read()
        named = {"modality": file.modality, "slot": file.slot, "date": file.day}
        for name, value in named.items():
            rows = rows.append_column(name, pa.repeat(pa.scalar(value), rows.num_rows))
        parts.append(rows.set_column(rows.column_names.index("user_id"), "user_id", pa.repeat("other", rows.num_rows)))
    table, only = pipeline.config.layout.training, f"date = '{day}'"
    columns = ["modality", "slot", "date"]
    write_deltalake(table, pa.concat_tables(parts), mode="overwrite", predicate=only, partition_by=columns)


def test_a_day_that_is_built_again_and_vacuumed_while_it_is_scored_is_scored_as_it_was(pipeline):
    model, snapshot, layout = read_model(pipeline.bundle), pipeline.snapshot, pipeline.config.layout
    alone = pa.concat_tables(score_snapshot(model, snapshot, DAYS))
    with pinned(layout.pins, layout.training, snapshot.version, "score", "a test"):
        tables = score_snapshot(model, snapshot, DAYS)
        first = next(tables)
        build_again(pipeline, DAYS[1])
        maintain.main(["vacuum", "--config", str(pipeline.path), "--retain", "0s", "--force", "--delete"])
        assert pin(layout.training).version > snapshot.version
        assert pa.concat_tables([first, *tables]).equals(alone)
    assert set(pa.concat_tables(score_snapshot(model, pin(layout.training), DAYS[1:]))["user_id"].to_pylist()) == {
        "other"
    }


@pytest.mark.parametrize("by", [["--local"], []], ids=["local", "spark"])
def test_rows_that_cannot_be_read_are_one_line_and_no_predictions(spark, pipeline, capfd, by):
    file = pipeline.snapshot.on(DAYS[1:]).files[0].path
    with Path(file).open("r+b") as content:
        content.seek(4)
        content.write(b"\xff" * 2000)
    capfd.readouterr()
    assert run_main(score.main, pipeline.path, *by) == 2
    (line,) = [said for said in capfd.readouterr().err.splitlines() if said.startswith("error: ")]
    assert file.rpartition("/")[2] in line
    assert "build" in line
    assert not list(pipeline.config.layout.pins.iterdir())
    predictions = pipeline.config.layout.predictions
    assert not is_delta_table(predictions) or not logged(predictions).files
