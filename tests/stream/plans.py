"""Made-up snapshots for tests of the plan, and what their plans hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Literal

from hypothesis import strategies as st

from camoe.contracts.snapshot import DataFile, Snapshot
from camoe.stream.planning.mixing import Mixing, Shares
from camoe.stream.planning.plan import BatchPlan, Piece, make_plan, row_names
from camoe.stream.planning.split import split
from camoe.stream.planning.world import World

FIRST_DAY = date(2026, 1, 1)
# File, row group, row within the row group.
Row = tuple[int, int, int]


def snapshot_of(files: list[tuple[int, int, list[int]]]) -> Snapshot:
    """A snapshot from (slot number, day number, rows of each row group) per file."""
    made = [
        DataFile(
            path=f"/t/slot=s{slot}/{number:04d}.parquet",
            modality=f"m{slot % 2}",
            slot=f"s{slot}",
            day=FIRST_DAY + timedelta(days=day),
            row_groups=tuple(groups),
        )
        for number, (slot, day, groups) in enumerate(files)
    ]
    return Snapshot("/t", 0, tuple(made), {}, ())


def shares_of(snapshot: Snapshot, by: Literal["modality", "slot"], numbers: list[float]) -> Shares:
    """Shares for every modality or slot that has rows, from as many of `numbers` as there are."""
    names = sorted({getattr(file, by) for file in snapshot.files if file.rows})
    return Shares(by=by, of=dict(zip(names, numbers, strict=False)))


def all_rows(snapshot: Snapshot) -> Counter[Row]:
    """Every row of the snapshot once."""
    return Counter(
        (number, group, row)
        for number, file in enumerate(snapshot.files)
        for group, rows in enumerate(file.row_groups)
        for row in range(rows)
    )


def names(plan: BatchPlan, takes: Iterable[Piece]) -> list[Row]:
    """The named rows of `takes`, in order."""
    return [(file, group, row) for take in takes for file, group, row in row_names(plan, take).tolist()]


def delivered(plan: BatchPlan, workers: int, first: int = 0, stop: int | None = None) -> Counter[Row]:
    """The rows that all workers get in steps `[first, stop)`."""
    return Counter(
        row
        for step in range(first, plan.steps if stop is None else stop)
        for rank in range(workers)
        for row in names(plan, split(plan, step, World(rank, workers)))
    )


files = st.tuples(st.integers(0, 4), st.integers(0, 2), st.lists(st.integers(0, 23), max_size=4))
snapshots = st.lists(files, min_size=1, max_size=12).map(snapshot_of).filter(lambda snapshot: snapshot.rows > 0)


EITHER = st.booleans()


@st.composite
def plans(draw: st.DrawFn, shares: st.SearchStrategy[bool] = EITHER) -> BatchPlan:
    """A plan of any snapshot, batch size, lanes and mixing."""
    snapshot = draw(snapshots)
    mixing: Mixing = "proportional"
    if draw(shares):
        numbers = draw(st.lists(st.sampled_from([0.5, 1.0, 2.0, 0.3]), min_size=5, max_size=5))
        kinds: list[Literal["modality", "slot"]] = ["modality", "slot"]
        mixing = shares_of(snapshot, draw(st.sampled_from(kinds)), numbers)
    return make_plan(
        snapshot,
        seed=draw(st.integers(0, 3)),
        epoch=draw(st.integers(0, 3)),
        batch_size=draw(st.integers(4, 40)),
        lanes=draw(st.integers(1, 6)),
        mixing=mixing,
    )
