"""What requests offer before any auction: candidates with every model's prediction; and the ticks of each design."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from camoe.market.auction.accounts import Accounts
from camoe.market.auction.requests import NONE, Tick
from camoe.market.draws import Floats, Ints, uniform


@dataclass(frozen=True, eq=False)
class Offer:
    """The requests of a tick as `Tick` has them, with `candidate` campaigns and, by model, the chances of a click."""

    day: int
    number: int
    request: Ints
    user: Ints
    cell: Ints
    pod: Ints
    candidate: Ints
    scores: Mapping[str, Floats]
    truth: Floats


Offers = Callable[[], Iterator[Offer]]


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells that requests fall into, in order: the `market` and the `slot` of each, and the queue of each slot."""

    market: tuple[str, ...]
    slot: tuple[str, ...]
    queue: Mapping[str, str]

    @property
    def slots(self) -> tuple[str, ...]:
        """Slots in order of their first cell."""
        return tuple(dict.fromkeys(self.slot))

    @property
    def markets(self) -> tuple[str, ...]:
        """Markets in order of their first cell."""
        return tuple(dict.fromkeys(self.market))

    @property
    def queues(self) -> tuple[str, ...]:
        """Queues in order of their first slot."""
        return tuple(dict.fromkeys(self.queue[slot] for slot in self.slots))

    def numbered(self, names: tuple[str, ...], of: tuple[str, ...]) -> Ints:
        """Return the number in `of` of each of `names`."""
        places = {name: place for place, name in enumerate(of)}
        return np.array([places[name] for name in names])


@dataclass(frozen=True)
class Arms:
    """Users by a hash: a `share` of them is treated (arm 1), the others are control (arm 0)."""

    salt: str
    share: float = 0.5

    def of(self, users: Ints) -> Ints:
        """Return the arm of each user."""
        return (uniform(f"arm {self.salt}", users) < self.share).astype(np.int64)


def whole(offers: Offers, accounts: Accounts, model: str) -> Iterator[Tick]:
    """Yield the ticks of a market in which all users see what `model` ranks."""
    for offer in offers():
        yield _tick(offer, accounts, offer.candidate, offer.scores[model])


def with_arms(
    offers: Offers, accounts: Accounts, models: tuple[str, str], arms: Arms, *, split: bool
) -> Iterator[Tick]:
    """Yield the ticks of a market in which each arm sees its model.

    With `split`, arm a bids from the accounts that begin at a·n, n being the number of campaigns `accounts`; otherwise
    both bid from the campaign's own.
    """
    for offer in offers():
        arm = arms.of(offer.user)[:, np.newaxis]
        p = np.where(arm == 1, offer.scores[models[1]], offer.scores[models[0]])
        moved = np.where(offer.candidate == NONE, NONE, offer.candidate + arm * accounts.count)
        yield _tick(offer, accounts, moved if split else offer.candidate, p)


def _tick(offer: Offer, accounts: Accounts, candidate: Ints, p: Floats) -> Tick:
    return Tick(
        day=offer.day,
        number=offer.number,
        request=offer.request,
        user=offer.user,
        cell=offer.cell,
        pod=offer.pod,
        candidate=candidate,
        p=np.where(accounts.for_clicks[offer.candidate], p, 1.0),
        truth=offer.truth,
    )
