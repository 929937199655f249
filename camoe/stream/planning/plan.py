"""The plan of an epoch: global batches as a pure function of (snapshot, seed, epoch, batch size, lanes, mixing).

Each slot's row groups are shuffled and dealt to `lanes` lanes; a batch takes from all lanes of all slots side by side,
in proportion to their rows; the rows of a row group come in a shuffled order of their own. So a batch mixes every slot
and `lanes` row groups of each, and only the row groups at the lanes' heads are in memory. A batch is laid out lane by
lane: a worker takes a contiguous share of it and so reads about 1/N of the row groups. Nothing here depends on the
number of workers, and batch k is computed without a look at the batches before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from typing import NamedTuple

import numpy as np

from camoe.contracts.errors import StreamError
from camoe.contracts.hashing import short_hash
from camoe.contracts.snapshot import Snapshot
from camoe.stream.planning.lanes import Pass, draw, shuffled
from camoe.stream.planning.mixing import Mixing, Shares, epoch_rows, stratum_of
from camoe.stream.planning.quota import Counts, Quota, make_quota

# Raised by whoever changes which rows any plan puts into which batch, be it by the code here, in `lanes`, `quota` or
# `mixing`, or by a numpy that draws otherwise: a run that began with another number is not gone on with.
PLAN_FORMAT = 1
# Drawn passes that are kept: a batch and the next one lie in neighbouring passes.
KEPT_PASSES = 8


@dataclass(frozen=True)
class RowGroups:
    """The snapshot's row groups that have rows, as columns: file number, number within the file, rows."""

    file: Counts
    group: Counts
    rows: Counts


@dataclass(frozen=True)
class Stratum:
    """Row groups with a share of their own, by slot. `epoch_rows` of them come in an epoch, in passes of `rows`."""

    name: str
    slots: tuple[str, ...]
    sources: tuple[Counts, ...]
    rows: int
    epoch_rows: int

    def cycles(self, bounds: Counts) -> Iterator[tuple[int, int, Counts]]:
        """Yield the stretches of the epoch between `bounds` by pass: number, first stretch, bounds in rows."""
        for cycle in range(int(bounds[0]) // self.rows, -(-int(bounds[-1]) // self.rows)):
            begin = cycle * self.rows
            first = int(np.searchsorted(bounds, begin, side="right")) - 1
            last = int(np.searchsorted(bounds, begin + self.rows, side="left"))
            first = max(first, 0)
            yield cycle, first, np.clip(bounds[first : last + 1] - begin, 0, self.rows)


class Piece(NamedTuple):
    """Rows `[start, stop)` of the order that row group number `source` has in pass `cycle` of a stratum.

    They are due in a lane of the stratum; a lane only moves on.
    """

    stratum: int
    lane: int
    cycle: int
    source: int
    start: int
    stop: int


class Batches(NamedTuple):
    """The pieces of consecutive global batches, in order, by columns: `step` counts the batches from 0."""

    step: Counts
    stratum: Counts
    lane: Counts
    cycle: Counts
    source: Counts
    start: Counts
    stop: Counts


@dataclass(frozen=True)
class BatchPlan:
    """All batches of one epoch; `make_plan` makes it. Passes and orders are drawn when asked for."""

    snapshot: Snapshot
    seed: int
    epoch: int
    batch_size: int
    lanes: int
    mixing: Mixing
    row_groups: RowGroups
    strata: tuple[Stratum, ...]
    quota: Quota

    @property
    def rows(self) -> int:
        """Rows of the epoch; in proportional mixing every row of the snapshot once."""
        return self.quota.rows

    @property
    def steps(self) -> int:
        """Batches of the epoch."""
        return -(-self.rows // self.batch_size)

    def batch_rows(self, step: int) -> int:
        """Return the rows of the global batch of `step`: the batch size, but for the last batch."""
        return self._end(step + 1) - self._end(step)

    def batch(self, step: int) -> list[Piece]:
        """Return the global batch of `step`, lane by lane."""
        _, *columns = self.batches(range(step, step + 1))
        return list(map(Piece._make, zip(*(column.tolist() for column in columns), strict=True)))

    def batches(self, steps: range) -> Batches:
        """Return the global batches of consecutive `steps`; in a run, each costs a fraction of one alone."""
        due = self.quota(self._ends(steps))
        parts: list[tuple[Counts, ...]] = []
        for number, stratum in enumerate(self.strata):
            for cycle, first, moments in stratum.cycles(due[number]):
                drawn = self.drawn(number, cycle)
                cut = drawn.cut(moments)
                of_pass = (np.full_like(cut.lane, value) for value in (number, cycle))
                parts.append((first + cut.moment, drawn.numbers[cut.lane], *of_pass, *cut[1:]))
        step, number_in_slot, strata, cycles, *cut_columns = (
            np.concatenate(column) for column in zip(*parts, strict=True)
        )
        order = np.lexsort((number_in_slot, step))
        lane, source, start, stop = cut_columns
        return Batches(*(column[order] for column in (step, strata, lane, cycles, source, start, stop)))

    def drawn(self, stratum: int, cycle: int) -> Pass:
        """Return pass number `cycle` over a stratum."""
        key = (stratum, cycle)
        if key not in self._passes:
            while len(self._passes) >= KEPT_PASSES * len(self.strata):
                del self._passes[next(iter(self._passes))]
            groups = self.strata[stratum].sources
            order_key = (self.seed, self.epoch, 0, stratum, cycle)
            self._passes[key] = draw(groups, self.row_groups.rows, self.lanes, order_key, self._stride(stratum))
        return self._passes[key]

    def _stride(self, stratum: int) -> int:
        """Return the fewest rows between moments at which a pass over the stratum is asked for, but for its end."""
        whole = self.strata[stratum]
        if whole.epoch_rows % whole.rows:
            return 1  # The epoch ends within a pass, maybe soon after the step before.
        share = self.batch_size * whole.epoch_rows // self.rows
        return max(1, share - ceil(2 * self.quota.bound()) if len(self.strata) > 1 else share)

    @cached_property
    def _passes(self) -> dict[tuple[int, int], Pass]:
        return {}

    def permutation(self, source: int, cycle: int) -> Counts:
        """Return the order of row group number `source` in pass `cycle`: row numbers within the row group."""
        return shuffled(self.rows_of(source), self.order_key(source, cycle))

    def order_key(self, source: int, cycle: int) -> tuple[int, ...]:
        """Return the key that this order is drawn from."""
        return (self.seed, self.epoch, 1, source, cycle)

    def name_of(self, source: int, cycle: int) -> str:
        """Return row group number `source` in pass `cycle`, for messages."""
        path = self.snapshot.files[int(self.row_groups.file[source])].path
        return f"{path}, row group {self.row_groups.group[source]} (pass {cycle + 1})"

    def rows_of(self, source: int) -> int:
        """Return the rows of row group number `source`."""
        return self._rows_of[source]

    @cached_property
    def _rows_of(self) -> list[int]:
        # It is asked for each piece, and a list answers sooner than an array.
        rows: list[int] = self.row_groups.rows.tolist()
        return rows

    def delivered(self, step: int) -> Counts:
        """Return how many rows each row group has given to the batches before `step`, all passes counted."""
        counts = np.zeros_like(self.row_groups.rows)
        due = self.quota(self._ends(range(step, step)))[:, 0]
        for number, stratum in enumerate(self.strata):
            cycle, first = divmod(int(due[number]), stratum.rows)
            for sources in stratum.sources:
                counts[sources] = cycle * self.row_groups.rows[sources]
            if first:
                drawn = self.drawn(number, cycle)
                for lane, rows in zip(drawn.lanes, drawn.delivered(np.array([first]))[0], strict=True):
                    sources = np.array(lane.sources)
                    whole = self.row_groups.rows[sources]
                    counts[sources] += np.clip(rows - (np.array(lane.ends) - whole), 0, whole)
        return counts

    def content_hash(self) -> str:
        """Return the `short_hash` of all that determines the batches."""
        mixing = self.mixing.content_hash() if isinstance(self.mixing, Shares) else self.mixing
        what = [PLAN_FORMAT, self.snapshot.content_hash(), self.seed, self.epoch, self.batch_size, self.lanes, mixing]
        return short_hash(repr(what))

    def _end(self, step: int) -> int:
        return min(step * self.batch_size, self.rows)

    def _ends(self, steps: range) -> Counts:
        """Return the rows before each of `steps`, and after the last."""
        return np.minimum(np.arange(steps.start, steps.stop + 1) * self.batch_size, self.rows)


def make_plan(
    snapshot: Snapshot, *, seed: int, epoch: int, batch_size: int, lanes: int, mixing: Mixing = "proportional"
) -> BatchPlan:
    """Plan one epoch over `snapshot`, which is cut to the wanted days before (`Snapshot.on`).

    Raises:
        StreamError: there are no rows, or the shares do not fit them.
    """
    if not snapshot.rows:
        raise StreamError(f"{snapshot.table} version {snapshot.version} has no rows on the chosen days to plan")
    row_groups = _row_groups(snapshot)
    strata = _strata(snapshot, row_groups, mixing)
    quota = make_quota([stratum.epoch_rows for stratum in strata])
    return BatchPlan(snapshot, seed, epoch, batch_size, lanes, mixing, row_groups, strata, quota)


def row_names(plan: BatchPlan, piece: Piece) -> Counts:
    """Return the rows of `piece` as `[rows, 3]`: file number, row group, row within the row group."""
    chosen = plan.permutation(piece.source, piece.cycle)[piece.start : piece.stop]
    names = np.empty((len(chosen), 3), dtype=np.int64)
    names[:, 0], names[:, 1] = plan.row_groups.file[piece.source], plan.row_groups.group[piece.source]
    names[:, 2] = chosen
    return names


def _row_groups(snapshot: Snapshot) -> RowGroups:
    found = [
        (number, group, rows)
        for number, file in enumerate(snapshot.files)
        for group, rows in enumerate(file.row_groups)
        if rows
    ]
    file, group, rows = np.array(found, dtype=np.int64).T
    return RowGroups(file, group, np.ascontiguousarray(rows))


def _strata(snapshot: Snapshot, row_groups: RowGroups, mixing: Mixing) -> tuple[Stratum, ...]:
    members: dict[str, dict[str, list[int]]] = {}
    for source, number in enumerate(row_groups.file.tolist()):
        file = snapshot.files[number]
        members.setdefault(stratum_of(mixing, file), {}).setdefault(file.slot, []).append(source)
    rows = {
        name: sum(int(row_groups.rows[sources].sum()) for sources in slots.values()) for name, slots in members.items()
    }
    wanted = epoch_rows(mixing, rows)
    return tuple(
        Stratum(
            name=name,
            slots=tuple(sorted(slots)),
            sources=tuple(np.array(slots[slot], dtype=np.int64) for slot in sorted(slots)),
            rows=rows[name],
            epoch_rows=wanted[name],
        )
        for name, slots in sorted(members.items())
    )
