"""The plan: every row once, whatever the number of workers; slots in proportion; same arguments, same batches."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench.stream_quality import counts_by
from camoe.contracts.errors import StreamError
from camoe.stream.describe import describe
from camoe.stream.planning import plan as plans_module
from camoe.stream.planning.mixing import Shares
from camoe.stream.planning.plan import PLAN_FORMAT, make_plan
from camoe.stream.planning.split import split, walk
from camoe.stream.planning.world import World
from tests.stream.lake import COLUMNS
from tests.stream.plans import FIRST_DAY, all_rows, delivered, names, plans, snapshot_of, snapshots

proportional = plans(st.just(False))


@settings(max_examples=100, deadline=None)
@given(proportional, st.integers(1, 16))
def test_every_row_comes_exactly_once_over_any_number_of_workers(plan, workers):
    assert delivered(plan, workers) == all_rows(plan.snapshot)
    assert plan.rows == plan.snapshot.rows


@settings(max_examples=60, deadline=None)
@given(plans(), st.integers(1, 16))
def test_the_workers_parts_make_up_the_global_batch_in_order(plan, workers):
    for step in range(min(plan.steps, 12)):
        whole = names(plan, plan.batch(step))
        parts = [names(plan, split(plan, step, World(rank, workers))) for rank in range(workers)]
        assert [row for part in parts for row in part] == whole
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
        assert len(whole) == plan.batch_rows(step)


@settings(max_examples=60, deadline=None)
@given(plans(), st.integers(1, 16), st.integers(1, 16), st.data())
def test_a_stream_can_go_on_at_any_step_with_another_number_of_workers(plan, before, after, data):
    step = data.draw(st.integers(0, plan.steps))
    assert delivered(plan, before, 0, step) + delivered(plan, after, step) == delivered(plan, 1)


@settings(max_examples=60, deadline=None)
@given(plans(), st.integers(1, 5), st.data())
def test_a_run_of_steps_is_the_steps_one_by_one(plan, workers, data):
    first = data.draw(st.integers(0, plan.steps))
    for rank in range(workers):
        alone = [split(plan, step, World(rank, workers)) for step in range(first, plan.steps)]
        assert list(walk(plan, World(rank, workers), first)) == alone


@settings(max_examples=60, deadline=None)
@given(plans(), st.data())
def test_how_much_of_each_row_group_has_come_is_known_at_any_step(plan, data):
    step = data.draw(st.integers(0, plan.steps))
    seen = Counter()
    for earlier in range(step):
        for piece in split(plan, earlier, World(0, 1)):
            seen[piece.source] += piece.stop - piece.start
    assert plan.delivered(step).tolist() == [seen[source] for source in range(len(plan.row_groups.rows))]


@settings(max_examples=60, deadline=None)
@given(proportional)
def test_every_batch_is_full_and_holds_each_slot_in_proportion(plan):
    total = Counter()
    for file in plan.snapshot.files:
        total[file.slot] += file.rows
    bound = plan.drawn(0, 0).bound()
    seen = Counter()
    for step in range(plan.steps):
        rows = names(plan, plan.batch(step))
        assert len(rows) == plan.batch_size or step == plan.steps - 1
        seen.update(plan.snapshot.files[file].slot for file, _, _ in rows)
        reached = seen.total()
        assert all(abs(seen[slot] - total[slot] * reached / plan.rows) <= bound + 1e-9 for slot in total)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=9), st.integers(0, 9), st.integers(1, 3))
@example([1, 1, 2, 3, 5, 8, 13, 21, 34], 0, 1)
def test_batches_that_hold_a_row_of_each_slot_keep_every_slot_within_one_row(rows, more, lanes):
    """From the beginning of the epoch to the end of any batch."""
    snapshot = snapshot_of([(slot, 0, [size // 2, size - size // 2]) for slot, size in enumerate(rows)])
    batch_size = -(-sum(rows) // min(rows)) + more
    plan = make_plan(snapshot, seed=1, epoch=0, batch_size=batch_size, lanes=lanes)
    assert plan.drawn(0, 0).bound() <= 1
    seen = counts_by(plan, range(len(rows))).cumsum(axis=0)
    share = np.array(rows) / sum(rows)
    assert np.abs(seen - np.outer(seen.sum(axis=1), share)).max() <= 1 + 1e-9


@settings(max_examples=30, deadline=None)
@given(snapshots, st.integers(1, 40))
def test_the_same_arguments_give_the_same_batches(snapshot, batch_size):
    one, two = (make_plan(snapshot, seed=3, epoch=1, batch_size=batch_size, lanes=3) for _ in range(2))
    assert one.content_hash() == two.content_hash()
    steps = list(range(one.steps))
    backwards = {step: names(two, two.batch(step)) for step in reversed(steps)}
    assert all(names(one, one.batch(step)) == backwards[step] for step in steps)


@settings(max_examples=60, deadline=None)
@given(proportional)
def test_a_row_group_lies_in_one_lane(plan):
    sources = [source for lane in plan.drawn(0, 0).lanes for source in lane.sources]
    assert sorted(sources) == list(range(len(plan.row_groups.rows)))


def test_the_place_of_the_table_does_not_matter():
    here = snapshot_of([(0, 0, [7, 5]), (1, 0, [9])])
    files = tuple(replace(file, path=file.path.replace("/t/", "/elsewhere/")) for file in here.files)
    there = replace(here, table="/elsewhere", files=files)
    assert here.content_hash() == there.content_hash()


def test_whatever_changes_the_batches_changes_the_hash(monkeypatch):
    files = [(0, 0, [50, 50]), (1, 0, [60]), (1, 1, [30])]
    snapshot = snapshot_of(files)
    base = {"snapshot": snapshot, "seed": 1, "epoch": 0, "batch_size": 40, "lanes": 2}
    changes = [
        {}, {"seed": 2}, {"epoch": 1}, {"batch_size": 41}, {"lanes": 1}, {"snapshot": snapshot.on([FIRST_DAY])},
        {"mixing": Shares(by="slot", of={"s0": 1, "s1": 1})}, {"mixing": Shares(by="slot", of={"s0": 1, "s1": 2})},
        {"snapshot": snapshot_of([*files, (2, 0, [10])])}, {"snapshot": snapshot_of([(0, 0, [70, 30]), *files[1:]])},
    ]  # fmt: skip
    made = [make_plan(**(base | change)) for change in changes]
    assert len({tuple(names(plan, plan.batch(0))) for plan in made}) == len(made)
    # Of the same names and sizes, so the batches have the same row names, but maybe other rows.
    rewritten = tuple(replace(file, path=file.path.replace("0000", "0009")) for file in snapshot.files)
    renamed = ({"version": 1}, {"files": rewritten})
    made += [make_plan(**(base | {"snapshot": replace(snapshot, **change)})) for change in renamed]
    hashes = {plan.content_hash() for plan in made}
    assert len(hashes) == len(made)
    monkeypatch.setattr(plans_module, "PLAN_FORMAT", PLAN_FORMAT + 1)
    assert hashes.isdisjoint(plan.content_hash() for plan in made)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"lanes": 1}, "0d3b208ea9016cbd7b6c213cc03723e52cdbb3966a3e991e8acb10f42226e99d"),
        ({"lanes": 4}, "f5d946c05c182934f71308f3119a554a508d8cd475b2b4ddc5eff1b89766fa18"),
        (
            {"lanes": 3, "epoch": 2, "mixing": Shares(by="modality", of={"m0": 0.5, "m1": 0.5})},
            "b39b6e6a9fdb3ef30a317a1306e97dc16b683e6bf4198e1b46f800221e1e2017",
        ),
        (
            {"lanes": 2, "seed": 9, "mixing": Shares(by="slot", of={"s0": 1, "s1": 3, "s2": 0.5})},
            "28f05269851ef73ca04d621508b102fa7f1e1af721c5d4ecdfa2923478c2e94a",
        ),
    ],
    ids=["proportional", "lanes", "modality shares", "slot shares"],
)
def test_the_batches_are_those_of_every_machine_and_version(arguments, expected):
    """When this fails and the change is meant, raise `PLAN_FORMAT` and write the new digests here."""
    snapshot = snapshot_of([(slot, day, [40 + slot, 7, 23 + 9 * day]) for slot in range(3) for day in range(3)])
    plan = make_plan(snapshot, **({"seed": 1, "epoch": 0, "batch_size": 50} | arguments))
    digest = hashlib.sha256(f"format {PLAN_FORMAT}".encode())
    for step in range(plan.steps):
        rows = np.array(names(plan, plan.batch(step)), dtype="<i8")
        digest.update(f"step {step}: {len(rows)} rows".encode())
        digest.update(rows.tobytes())
    assert digest.hexdigest() == expected


def test_a_batch_mixes_slots_and_row_groups():
    snapshot = snapshot_of([(slot, day, [100, 100]) for slot in range(3) for day in range(4)])
    plan = make_plan(snapshot, seed=1, epoch=0, batch_size=120, lanes=4)
    for step in range(plan.steps - 1):
        rows = names(plan, plan.batch(step))
        slots = Counter(snapshot.files[file].slot for file, _, _ in rows)
        assert set(slots.values()) <= {39, 40, 41}
        assert len({(file, group) for file, group, _ in rows}) >= 12


def test_a_slot_of_one_row_beside_a_large_one_comes_once():
    plan = make_plan(snapshot_of([(0, 0, [1000] * 9), (1, 0, [1])]), seed=1, epoch=0, batch_size=64, lanes=4)
    assert delivered(plan, 5) == all_rows(plan.snapshot)


def test_days_without_rows_are_refused():
    with pytest.raises(StreamError, match="/t version 0 has no rows"):
        make_plan(snapshot_of([(0, 0, [0])]), seed=1, epoch=0, batch_size=4, lanes=1)


def test_a_plan_says_what_it_reads():
    snapshot = snapshot_of([(0, 0, [50, 50]), (1, 1, [60])])
    text = describe(make_plan(snapshot, seed=7, epoch=2, batch_size=40, lanes=2), COLUMNS, threads=2)
    assert "/t version 0, epoch 2, seed 7" in text
    assert "160 rows in 4 steps of 40" in text
    assert "s0: 62.5%, 100 rows in 2 row groups, 2 lanes" in text
    assert "row groups take at most 0.0 MB of a worker's memory" in text


def test_planning_takes_the_days_that_the_snapshot_was_cut_to():
    snapshot = snapshot_of([(0, 0, [50]), (0, 1, [60])]).on([FIRST_DAY])
    assert make_plan(snapshot, seed=1, epoch=0, batch_size=40, lanes=2).rows == 50


def test_orders_within_a_row_group_are_permutations_of_their_own():
    plan = make_plan(snapshot_of([(0, 0, [100, 100])]), seed=1, epoch=0, batch_size=40, lanes=2)
    orders = [plan.permutation(source, cycle) for source in (0, 1) for cycle in (0, 1)]
    assert all(np.array_equal(np.sort(order), np.arange(100)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4
