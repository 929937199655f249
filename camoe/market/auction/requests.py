"""The requests of one tick with their candidates, and what was shown for them."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from camoe.market.draws import Floats, Ints

NONE = -1


@dataclass(frozen=True, eq=False)
class Tick:
    """The requests of tick `number` of `day`, in order of time.

    By request, shape (R,): its id `request`, `user`, `cell` (market and queue) and `pod`, the number of its places. By
    candidate, shape (R, C): the `candidate` account (`NONE`: no more), the chance of a click `p` that it is ranked by
    (1 for one that does not bid for clicks), and the true one, `truth`. No account is a candidate twice. Of two equal
    scores the candidate listed first wins, so they are to be listed by a hash.
    """

    day: int
    number: int
    request: Ints
    user: Ints
    cell: Ints
    pod: Ints
    candidate: Ints
    p: Floats
    truth: Floats


@dataclass(frozen=True, eq=False)
class Shown:
    """Impressions in order of time, an entry each.

    `request`, `user`, `cell`, `account`, `position` in the pod (0 the first), `tick` since the first day's midnight,
    `p` that it was ranked by, true chance `expected` of a click there, `clicked`, and its cost in micros.
    """

    request: Ints
    user: Ints
    cell: Ints
    account: Ints
    position: Ints
    tick: Ints
    p: Floats
    expected: Floats
    clicked: Ints
    cost: Ints


def joined(parts: list[Shown]) -> Shown:
    """Return the impressions of all `parts` in order."""
    return Shown(
        **{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Shown)}
    )
