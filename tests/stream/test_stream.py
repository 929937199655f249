"""The stream on real Delta tables through real Petastorm readers: every row once."""

from __future__ import annotations

import os
import pickle
import threading
from collections import Counter
from itertools import product, zip_longest
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from camoe.contracts.snapshot import pin
from camoe.stream.planning.mixing import Shares
from camoe.stream.planning.plan import make_plan, row_names
from camoe.stream.planning.split import split
from camoe.stream.planning.world import World
from camoe.stream.reading.buffers import Buffers
from camoe.stream.reading.columns import UNKNOWN_LABEL
from tests.stream.blocks import blocks, delivered, plan_of
from tests.stream.lake import COLUMNS, FIRST_DAY, write_table

SMALL_GROUPS = [(slot, day, [100] * 4) for slot in range(3) for day in range(5)]

files = st.tuples(st.integers(0, 3), st.integers(0, 2), st.lists(st.integers(1, 40), min_size=1, max_size=3))


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """15 files of 4 small row groups; never changed."""
    return write_table(tmp_path_factory.mktemp("stream") / "t", SMALL_GROUPS)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(files, min_size=1, max_size=8), st.integers(1, 16), st.integers(1, 90), st.integers(1, 5))
def test_all_workers_together_deliver_every_row_once(tmp_path_factory, made, workers, batch_size, lanes):
    root = write_table(tmp_path_factory.mktemp("t") / "table", made)
    plan = plan_of(root, batch_size=batch_size, lanes=lanes)
    rows = sum(sum(groups) for _, _, groups in made)
    assert delivered(plan, workers) == Counter(range(rows))


@pytest.mark.parametrize("workers", range(1, 17))
def test_one_to_sixteen_workers_share_a_table(table, workers):
    assert delivered(plan_of(table, epoch=workers), workers, threads=1) == Counter(range(6000))


def test_more_workers_than_row_groups_files_of_one_row_and_empty_row_groups(tmp_path):
    root = write_table(tmp_path / "t", [(0, 0, [1]), (0, 1, [1, 0, 1]), (1, 0, [1]), (2, 0, [0])])
    assert delivered(plan_of(root, batch_size=3), workers=16) == Counter(range(4))


def test_all_workers_have_the_same_number_of_steps_even_without_rows(tmp_path):
    plan = plan_of(write_table(tmp_path / "t", [(0, 0, [3])]), batch_size=2)
    for rank in range(5):
        assert len(list(blocks(plan, World(rank, 5)))) == plan.steps == 2


def test_shares_deliver_the_plans_multiset(table):
    plan = plan_of(table, mixing=Shares(by="modality", of={"m0": 1, "m1": 2}))
    seen = delivered(plan, workers=3)
    assert seen.total() == plan.rows == 4000 + 8000
    assert Counter(seen.values()) == {1: 4000, 4: 2000}


def test_the_stream_delivers_the_very_rows_that_the_plan_names(table):
    """Row ids number the rows in the order in which the files were written: file by file, group by group."""
    plan = plan_of(table)
    for step, block in zip(range(5), blocks(plan, World(1, 3)), strict=False):
        named = np.concatenate([row_names(plan, take) for take in split(plan, step, World(1, 3))])
        written = [int(Path(plan.snapshot.files[file].path).stem.removeprefix("part-")) for file in named[:, 0]]
        assert (np.array(written) * 400 + named[:, 1] * 100 + named[:, 2]).tolist() == block.keys[0].tolist()


def test_values_stay_with_their_row_and_nulls_are_marked(table):
    whole = pd.concat(pd.read_parquet(file.path) for file in pin(table).files).set_index("row_id", drop=False)
    for block in blocks(plan_of(table, batch_size=600)):
        rows = whole.loc[block.keys[0]]
        assert np.array_equal(block.categorical, rows[list(COLUMNS.categorical)])
        assert np.array_equal(block.numeric[:, 0], rows["num_x"], equal_nan=True)
        assert np.array_equal(block.labels[:, 0], rows["label_click"].fillna(UNKNOWN_LABEL))
        assert np.array_equal(block.slot, rows["slot_id"])


def test_a_stream_goes_on_with_another_number_of_workers(table):
    plan = plan_of(table)
    before = Counter()
    for rank in range(3):
        for _, block in zip(range(40), blocks(plan, World(rank, 3)), strict=False):
            before.update(block.keys[0].tolist())
    assert before + delivered(plan, workers=2, first_step=40) == Counter(range(6000))


def words(running):
    """All that a stream gives, as it came."""
    return [(block.records.tobytes(), block.keys[0].tolist()) for block in running]


def test_streams_that_share_their_memory_give_what_each_gives_alone(table):
    plans = [plan_of(table, epoch=0), plan_of(table, epoch=1, lanes=1), plan_of(table, epoch=2, batch_size=600)]
    alone = [words(blocks(plan)) for plan in plans]
    buffers = Buffers()
    early = blocks(plans[2], buffers=buffers)
    assert [words(blocks(plan, buffers=buffers)) for plan in plans[:2]] == alone[:2]
    assert words(early) == alone[2]
    side_by_side = [blocks(plan, buffers=buffers) for plan in plans[:2]]
    given = list(zip_longest(*side_by_side))
    assert [words(filter(None, column)) for column in zip(*given, strict=True)] == alone[:2]


def test_a_stream_uses_the_memory_of_the_one_before(table, monkeypatch):
    buffers, made = Buffers(), []
    take = Buffers.take
    monkeypatch.setattr(Buffers, "take", lambda self, size: made.append(take(self, size)) or made[-1])
    words(blocks(plan_of(table), buffers=buffers))
    first = {id(buffer) for buffer in made}
    kept = list(made)
    words(blocks(plan_of(table), buffers=buffers))
    assert {id(buffer) for buffer in made[len(kept) :]} <= first


def test_columns_that_the_model_does_not_need_are_not_read(tmp_path):
    """Their pages hold nothing but zeros, and nobody notices who does not read them."""
    root = write_table(tmp_path / "t", SMALL_GROUPS[:4])
    plan = plan_of(root)
    for file in plan.snapshot.files:
        footer = pq.read_metadata(file.path)
        content = bytearray(Path(file.path).read_bytes())
        for group, column in product(range(footer.num_row_groups), range(footer.num_columns)):
            chunk = footer.row_group(group).column(column)
            if chunk.path_in_schema not in COLUMNS.names:
                first = chunk.dictionary_page_offset or chunk.data_page_offset
                content[first : first + chunk.total_compressed_size] = bytes(chunk.total_compressed_size)
        Path(file.path).write_bytes(content)
        with pytest.raises((OSError, ValueError)):
            pq.ParquetFile(file.path).read()
    assert delivered(plan) == Counter(range(1600))


def test_reading_begins_before_the_first_batch_is_asked_for(table):
    before = threading.active_count()
    running = blocks(plan_of(table))
    assert threading.active_count() == before + 2
    running.close()
    assert threading.active_count() == before


def test_row_groups_that_are_skipped_are_not_read(tmp_path):
    """Files that lie before the step as a whole are gone, and nobody misses them."""
    root = write_table(tmp_path / "t", [(0, day, [50]) for day in range(20)])
    plan = plan_of(root, lanes=1, batch_size=10)
    step = plan.steps // 2
    needed = {plan.row_groups.file[source] for source in np.flatnonzero(plan.delivered(step) < plan.row_groups.rows)}
    gone = [file for number, file in enumerate(plan.snapshot.files) if number not in needed]
    assert gone
    example = Path(plan.snapshot.files[0].path)
    for file in gone:
        if Path(file.path) != example:
            Path(file.path).unlink()
    assert delivered(plan, first_step=step).total() == 500


def test_rows_of_removed_files_never_appear(tmp_path):
    root = write_table(tmp_path / "t", SMALL_GROUPS)
    before = delivered(plan_of(root))
    DeltaTable(str(root)).delete(f"date = '{FIRST_DAY.isoformat()}'")
    after = delivered(plan_of(root))
    assert len(list(root.rglob("*.parquet"))) == len(SMALL_GROUPS)
    assert sum(after.values()) == sum(before.values()) * 4 // 5
    assert delivered(make_plan(pin(root, 0), seed=1, epoch=0, batch_size=64, lanes=4)) == before


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_repeated_epochs_on_small_row_groups_lose_nothing(table, threads):
    for epoch in range(10):
        assert delivered(plan_of(table, epoch=epoch), threads=threads) == Counter(range(6000))


@pytest.mark.slow
@pytest.mark.parametrize("threads", [2, 4, 10])
def test_a_thousand_epochs_on_small_row_groups_lose_nothing(table, threads):
    snapshot = pin(table)
    for epoch in range(1000):
        plan = make_plan(snapshot, seed=1, epoch=epoch, batch_size=256, lanes=4)
        assert delivered(plan, threads=threads) == Counter(range(6000))


class Runs:
    """When it is unpickled, a folder is made."""

    def __init__(self, folder):
        self._folder = str(folder)

    def __reduce__(self):
        return os.makedirs, (self._folder,)


def test_pickled_metadata_of_petastorm_is_never_read(tmp_path):
    """It may run any code."""
    root = write_table(tmp_path / "t", [(0, 0, [30, 20])])
    pickled = {b"dataset-toolkit.unischema.v1": pickle.dumps(Runs(tmp_path / "ran"))}
    (file,) = Path(root).rglob("*.parquet")
    rows = pq.read_table(file)
    for folder in (Path(root), file.parent):
        pq.write_metadata(rows.schema.with_metadata(pickled), folder / "_common_metadata")
    with pq.ParquetWriter(file, rows.schema.with_metadata(pickled)) as writer:
        for group in (rows.slice(0, 30), rows.slice(30)):
            writer.write_table(group)
    assert delivered(plan_of(root, batch_size=8), workers=2) == Counter(range(50))
    assert not (tmp_path / "ran").exists()
    pickle.loads(pickled.popitem()[1])
    assert (tmp_path / "ran").exists()
