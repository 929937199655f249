"""Floors under which a day is not believed: what each entity matches, and how often each objective is positive.

A feed that has died gives no error of its own: its entity matches nothing, its labels are all 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from camoe.contracts.errors import InputError
from camoe.contracts.runs import LabelCount
from camoe.contracts.sources import Sources

# With fewer positives to be expected on a day their number says nothing.
LEAST_EXPECTED = 20
Labels = Mapping[str, Mapping[date, LabelCount]]


def below_floors(matched: Mapping[str, float], labels: Labels, before: Labels, sources: Sources) -> tuple[str, ...]:
    """Return what lies under its floor, one line each.

    `matched` is the share of the run's impressions that each entity matched, `labels` those of the run's days by
    objective, `before` those of other days of the table.
    """
    found = []
    for name, share in matched.items():
        floor = sources.entities[name].min_matched
        if share < floor or not share:
            found.append(f"entity '{name}' matched {share:.2%} of the impressions, and {floor:.2%} is its min_matched")
    for name, days in labels.items():
        all_days = {**before.get(name, {}), **days}
        found += [
            line for day in sorted(days) if (line := _fallen(name, day, all_days, sources.objectives[name].min_share))
        ]
    return tuple(found)


def require_accepted(found: tuple[str, ...], reason: str) -> None:
    """Raise `InputError` where something lies under its floor and nobody gave a `reason` to accept it."""
    if found and not reason:
        more = f"; and {len(found) - 1} more like it" if len(found) > 1 else ""
        raise InputError(
            f"{found[0]}{more}; mend the input, lower that floor, or go on with --accept REASON, which the run's "
            "record keeps; nothing was written"
        )


def _fallen(name: str, day: date, days: Mapping[date, LabelCount], share: float) -> str:
    others = [count for other, count in days.items() if other != day]
    known = sum(count.known for count in others)
    here = days[day]
    expected = sum(count.positive for count in others) / known * here.known if known else 0.0
    if expected < LEAST_EXPECTED or here.positive >= share * expected:
        return ""
    return (
        f"objective '{name}' has {here.positive:,} positive labels of {here.known:,} on {day}, where the other days "
        f"let {expected:,.0f} expect, and {share:g} of these is its min_share"
    )
