"""The ledger: complete for any split, and an error that names the row group when anything is missing or doubled."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camoe.contracts.errors import StreamError
from camoe.stream.ledger import Ledger, require_complete
from camoe.stream.planning.plan import make_plan
from camoe.stream.planning.split import split
from camoe.stream.planning.world import World
from tests.stream.plans import plans, snapshot_of

PLAN = make_plan(snapshot_of([(0, 0, [40, 40]), (1, 0, [40])]), seed=1, epoch=0, batch_size=30, lanes=2)
ALL = [piece for step in range(PLAN.steps) for piece in split(PLAN, step, World(0, 1))]


def booked(plan, delivered):
    ledger = Ledger()
    for piece in delivered:
        ledger.add(plan, piece)
    return ledger.as_array(plan)


@settings(max_examples=60, deadline=None)
@given(plans(), st.integers(1, 16), st.data())
def test_the_workers_ledgers_add_up_to_the_plan(plan, workers, data):
    first = data.draw(st.integers(0, plan.steps))
    ledgers = [
        booked(plan, [p for step in range(first, plan.steps) for p in split(plan, step, World(rank, workers))])
        for rank in range(workers)
    ]
    require_complete(plan, np.sum(ledgers, axis=0), first)


def test_the_order_of_delivery_does_not_matter():
    require_complete(PLAN, booked(PLAN, reversed(ALL)))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_piece_that_is_missing_doubled_or_shifted_is_found(data):
    index = data.draw(st.integers(0, len(ALL) - 1))
    piece = ALL[index]
    shift = data.draw(st.integers(1, 5))
    others = [*ALL[:index], *ALL[index + 1 :]]
    for wrong in (
        others,
        [*ALL, piece],
        [*others, piece._replace(start=piece.start + shift, stop=piece.stop + shift)],
        [*others, piece._replace(stop=piece.stop - 1)],
    ):
        with pytest.raises(StreamError, match=r"/t/slot=s\d/\d+.parquet, row group \d: rows are missing or came twice"):
            require_complete(PLAN, booked(PLAN, wrong))


def test_a_doubled_row_does_not_make_up_for_a_missing_one():
    """The number of rows is right for each row group, the rows are not."""
    long = next(piece for piece in ALL if piece.stop - piece.start > 2)
    others = [piece for piece in ALL if piece != long]
    wrong = [*others, long._replace(stop=long.stop - 1), long._replace(stop=long.start + 1)]
    summed = booked(PLAN, wrong)
    assert summed[0].tolist() == PLAN.delivered(PLAN.steps).tolist()
    with pytest.raises(StreamError, match="missing or came twice"):
        require_complete(PLAN, summed)
