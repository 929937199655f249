"""A plan in words and numbers, for people."""

from __future__ import annotations

from camoe.stream.planning.mixing import Shares
from camoe.stream.planning.plan import BatchPlan, Stratum
from camoe.stream.reading.columns import Columns
from camoe.stream.reading.held import most_bytes


def describe(
    plan: BatchPlan, columns: Columns, threads: int, checked: BatchPlan | None = None, within: bool = False
) -> str:
    """Describe what the plan reads, how it mixes, and its epoch: one line a stratum and slot.

    Also the memory that the row groups take in a worker with so many reader threads; `checked` and `within` as in
    `most_bytes`.
    """
    snapshot = plan.snapshot
    mixing = f"shares by {plan.mixing.by}" if isinstance(plan.mixing, Shares) else plan.mixing
    held = most_bytes(plan, columns, threads, checked, within) / 1e6
    bound = plan.quota.bound() + max(plan.drawn(number, 0).bound() for number in range(len(plan.strata)))
    lines = [
        f"plan {plan.content_hash()}: {snapshot.table} version {snapshot.version}, "
        f"epoch {plan.epoch}, seed {plan.seed}",
        f"  {plan.rows:,} rows in {plan.steps:,} steps of {plan.batch_size:,}; {len(snapshot.files):,} files, "
        f"{len(plan.row_groups.rows):,} row groups; mixing {mixing}, {plan.lanes} lanes",
        f"  at any step a slot is at most {bound:.1f} rows off its share; "
        f"row groups take at most {held:,.1f} MB of a worker's memory",
    ]
    for number, stratum in enumerate(plan.strata):
        lines.extend(_stratum_lines(plan, number, stratum))
    return "\n".join(lines)


def _stratum_lines(plan: BatchPlan, number: int, stratum: Stratum) -> list[str]:
    lines = [
        f"  {stratum.name}: {stratum.epoch_rows / plan.rows:.1%} of each batch, {stratum.rows:,} rows, "
        f"each {stratum.epoch_rows / stratum.rows:.2f} times"
    ]
    for slot, sources, lanes in zip(stratum.slots, stratum.sources, plan.drawn(number, 0).by_lane, strict=True):
        lines.append(
            f"    {slot}: {lanes.rows / stratum.rows:.1%}, {lanes.rows:,} rows in {len(sources):,} row groups, "
            f"{lanes.parts} lanes"
        )
    return lines
