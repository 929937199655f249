"""Made-up snapshots for tests of the plan."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import strategies as st

from camoe.contracts.snapshot import DataFile, Snapshot

FIRST_DAY = date(2026, 1, 1)


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


files = st.tuples(st.integers(0, 4), st.integers(0, 2), st.lists(st.integers(0, 23), max_size=4))
snapshots = st.lists(files, min_size=1, max_size=12).map(snapshot_of).filter(lambda snapshot: snapshot.rows > 0)
