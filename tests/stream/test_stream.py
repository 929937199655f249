"""The stream on real Delta tables through real Petastorm readers: every row once, or an error."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from camoe.contracts.errors import SnapshotError, StreamError
from camoe.contracts.snapshot import pin
from camoe.stream.columns import UNKNOWN_LABEL
from camoe.stream.plan import make_plan
from camoe.stream.stream import stream
from camoe.stream.world import World
from tests.stream.lake import COLUMNS, FIRST_DAY, write_table

SMALL_GROUPS = [(slot, day, [100] * 4) for slot in range(3) for day in range(5)]


def delivered(plan, workers=1, threads=2):
    return Counter(
        row
        for rank in range(workers)
        for block in stream(plan, COLUMNS, World(rank, workers), threads)
        for row in block.keys[0].tolist()
    )


def plan_of(table: Path, **changes):
    settings_ = {"seed": 1, "epoch": 0, "batch_size": 64, "lanes": 4} | changes
    return make_plan(pin(table), **settings_)


files = st.tuples(st.integers(0, 3), st.integers(0, 2), st.lists(st.integers(1, 40), min_size=1, max_size=3))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(files, min_size=1, max_size=8), st.integers(1, 16), st.integers(1, 90), st.integers(1, 5))
def test_all_workers_together_deliver_every_row_once(tmp_path_factory, table, workers, batch_size, lanes):
    root = write_table(tmp_path_factory.mktemp("t") / "table", table)
    plan = plan_of(root, batch_size=batch_size, lanes=lanes)
    rows = sum(sum(groups) for _, _, groups in table)
    assert delivered(plan, workers) == Counter(range(rows))


def test_all_workers_have_the_same_number_of_steps_even_without_rows(tmp_path):
    plan = plan_of(write_table(tmp_path / "t", [(0, 0, [3])]), batch_size=2)
    for rank in range(5):
        blocks = list(stream(plan, COLUMNS, World(rank, 5), 1))
        assert len(blocks) == plan.steps == 2


def test_values_stay_with_their_row_and_nulls_are_marked(tmp_path):
    root = write_table(tmp_path / "t", SMALL_GROUPS)
    block = next(stream(plan_of(root, batch_size=600), COLUMNS, World(0, 1), 2))
    assert np.array_equal(block.categorical[:, 0], block.keys[0] % 7)
    slots = {file.slot: [] for file in pin(root).files}
    assert set(block.slot.tolist()) == set(range(len(slots)))
    assert set(block.labels[:, 0].tolist()) == {0, 1, UNKNOWN_LABEL}
    assert np.isnan(block.numeric).any()


def test_rows_of_removed_files_never_appear(tmp_path):
    root = write_table(tmp_path / "t", SMALL_GROUPS)
    before = delivered(plan_of(root))
    DeltaTable(str(root)).delete(f"date = '{FIRST_DAY.isoformat()}'")
    after = delivered(plan_of(root))
    assert len(list(root.rglob("*.parquet"))) == len(SMALL_GROUPS)
    assert sum(after.values()) == sum(before.values()) * 4 // 5
    assert delivered(make_plan(pin(root, 0), seed=1, epoch=0, batch_size=64, lanes=4)) == before


def test_a_day_without_rows_is_refused_by_name(tmp_path):
    snapshot = pin(write_table(tmp_path / "t", SMALL_GROUPS))
    with pytest.raises(SnapshotError, match="has no rows on 2026-02-01"):
        snapshot.on([FIRST_DAY, FIRST_DAY.replace(month=2)])


def test_a_vacuumed_file_is_refused_before_the_first_step(tmp_path):
    root = write_table(tmp_path / "t", SMALL_GROUPS)
    next(root.rglob("*.parquet")).unlink()
    with pytest.raises(SnapshotError, match=r"names part-\d+.parquet, which is gone"):
        pin(root)


def test_a_truncated_file_is_refused_before_the_first_step(tmp_path):
    root = write_table(tmp_path / "t", SMALL_GROUPS)
    victim = next(root.rglob("*.parquet"))
    victim.write_bytes(victim.read_bytes()[:100])
    with pytest.raises(SnapshotError, match="is damaged"):
        pin(root)


def test_a_folder_without_a_delta_log_is_refused(tmp_path):
    with pytest.raises(SnapshotError, match="no Delta table"):
        pin(tmp_path)


def test_a_file_that_changes_after_pinning_stops_the_stream(tmp_path):
    root = write_table(tmp_path / "t", [(0, 0, [50]), (0, 1, [50])])
    plan = plan_of(root)
    victim = Path(plan.snapshot.files[0].path)
    shorter = next(write_table(tmp_path / "other", [(0, 0, [49])]).rglob("*.parquet"))
    victim.write_bytes(shorter.read_bytes())
    with pytest.raises(StreamError, match="49 rows where the plan has 50"):
        delivered(plan)


def test_a_consumer_that_stops_early_leaves_no_thread(tmp_path):
    plan = plan_of(write_table(tmp_path / "t", SMALL_GROUPS), batch_size=10)
    before = threading.active_count()
    blocks = stream(plan, COLUMNS, World(0, 1), 2)
    next(blocks)
    assert threading.active_count() > before
    blocks.close()
    assert threading.active_count() == before


def test_a_page_that_is_damaged_behind_a_good_footer_is_named(tmp_path):
    root = write_table(tmp_path / "t", [(0, 0, [5000])])
    plan = plan_of(root)
    victim = Path(plan.snapshot.files[0].path)
    content = bytearray(victim.read_bytes())
    content[4:2000] = bytes(1996)
    victim.write_bytes(content)
    with pytest.raises(StreamError, match=r"part-0000.parquet, row group 0 cannot be read"):
        delivered(plan)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_repeated_epochs_on_small_row_groups_lose_nothing(tmp_path, threads):
    root = write_table(tmp_path / "t", SMALL_GROUPS)
    for epoch in range(15):
        assert delivered(plan_of(root, epoch=epoch), threads=threads) == Counter(range(6000))


@pytest.mark.slow
@pytest.mark.parametrize("threads", [2, 4, 10])
def test_four_hundred_epochs_on_small_row_groups_lose_nothing(tmp_path, threads):
    root = write_table(tmp_path / "t", SMALL_GROUPS)
    for epoch in range(400):
        assert delivered(plan_of(root, epoch=epoch), threads=threads) == Counter(range(6000))
