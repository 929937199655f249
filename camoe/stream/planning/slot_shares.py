"""Each slot's share of a plan's rows."""

from __future__ import annotations

from camoe.stream.planning.plan import BatchPlan


def slot_shares(plan: BatchPlan) -> dict[str, float]:
    """Return each slot's share of the epoch's rows, and so the expected share of each batch; they add up to one.

    A slot without rows is left out. A stratum that repeats repeats all its slots alike.
    """
    shares: dict[str, float] = {}
    for stratum in plan.strata:
        for slot, sources in zip(stratum.slots, stratum.sources, strict=True):
            of_stratum = int(plan.row_groups.rows[sources].sum()) / stratum.rows
            shares[slot] = shares.get(slot, 0.0) + of_stratum * stratum.epoch_rows / plan.rows
    return shares
