"""The plan: every row once, whatever the number of workers; slots in proportion; same arguments, same batches."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from camoe.stream.plan import make_plan, row_names, split
from camoe.stream.quota import cumulative_quota
from camoe.stream.world import World
from tests.stream.plans import snapshot_of, snapshots


def all_rows(snapshot):
    return Counter(
        (number, group, row)
        for number, file in enumerate(snapshot.files)
        for group, rows in enumerate(file.row_groups)
        for row in range(rows)
    )


def names(plan, takes):
    return [tuple(row) for take in takes for row in row_names(plan, take).tolist()]


@settings(max_examples=150, deadline=None)
@given(snapshots, st.integers(1, 40), st.integers(1, 6), st.integers(1, 16), st.integers(0, 3))
def test_every_row_comes_exactly_once_over_any_number_of_workers(snapshot, batch_size, lanes, workers, epoch):
    plan = make_plan(snapshot, seed=5, epoch=epoch, batch_size=batch_size, lanes=lanes)
    seen = Counter(
        row
        for step in range(plan.steps)
        for rank in range(workers)
        for row in names(plan, split(plan, step, World(rank, workers)))
    )
    assert seen == all_rows(snapshot)
    assert plan.rows == snapshot.rows


@settings(max_examples=60, deadline=None)
@given(snapshots, st.integers(1, 40), st.integers(1, 5), st.integers(1, 16))
def test_the_workers_parts_make_up_the_global_batch_in_order(snapshot, batch_size, lanes, workers):
    plan = make_plan(snapshot, seed=1, epoch=0, batch_size=batch_size, lanes=lanes)
    for step in range(plan.steps):
        whole = names(plan, plan.batch(step))
        parts = [names(plan, split(plan, step, World(rank, workers))) for rank in range(workers)]
        assert [row for part in parts for row in part] == whole
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 500), min_size=1, max_size=8), st.integers(1, 97))
def test_slots_keep_their_share_to_within_one_row_and_batches_are_full(rows, batch_size):
    delivered = cumulative_quota(np.array(rows), batch_size)
    total = sum(rows)
    for step, counts in enumerate(delivered):
        reached = min(step * batch_size, total)
        assert counts.sum() == reached
        assert np.all(np.abs(counts - np.array(rows) * reached / total) < 1)
    assert np.all(np.diff(delivered, axis=0) >= 0)


@settings(max_examples=30, deadline=None)
@given(snapshots, st.integers(1, 40))
def test_the_same_arguments_give_the_same_batches(snapshot, batch_size):
    one, two = (make_plan(snapshot, seed=3, epoch=1, batch_size=batch_size, lanes=3) for _ in range(2))
    assert one.content_hash() == two.content_hash()
    assert all(names(one, one.batch(step)) == names(two, two.batch(step)) for step in range(one.steps))


def test_the_place_of_the_table_does_not_matter():
    here = snapshot_of([(0, 0, [7, 5]), (1, 0, [9])])
    files = tuple(replace(file, path=file.path.replace("/t/", "/elsewhere/")) for file in here.files)
    there = replace(here, table="/elsewhere", files=files)
    assert here.content_hash() == there.content_hash()


def test_seed_and_epoch_change_the_order():
    snapshot = snapshot_of([(0, 0, [50, 50]), (1, 0, [60])])
    orders = [
        names(plan, plan.batch(0))
        for plan in (
            make_plan(snapshot, seed=seed, epoch=epoch, batch_size=40, lanes=2)
            for seed, epoch in [(1, 0), (1, 1), (2, 0)]
        )
    ]
    assert orders[0] != orders[1]
    assert orders[0] != orders[2]


def test_a_batch_mixes_slots_and_row_groups():
    snapshot = snapshot_of([(slot, day, [100, 100]) for slot in range(3) for day in range(4)])
    plan = make_plan(snapshot, seed=1, epoch=0, batch_size=120, lanes=4)
    for step in range(plan.steps - 1):
        rows = names(plan, plan.batch(step))
        slots = Counter(snapshot.files[file].slot for file, _, _ in rows)
        assert set(slots.values()) <= {39, 40, 41}
        assert len({(file, group) for file, group, _ in rows}) >= 12
