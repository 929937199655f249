"""The stream's public names: plan an epoch, stream it to a worker, book the rows that came and check them by the plan.

    plan = make_plan(snapshot, seed=1, epoch=0, batch_size=2048, lanes=4)
    ledger = Ledger()
    for block in stream(plan, columns, World(rank, size), ReadOptions(), ledger=ledger):
        ...
    require_complete(plan, sum_over_workers(ledger.as_array(plan)))

A module of its own, not the package's `__init__`, so that a plan or a configuration is there without Petastorm.
"""

from camoe.stream.ledger import Ledger, require_complete
from camoe.stream.planning.plan import BatchPlan, make_plan
from camoe.stream.planning.world import World
from camoe.stream.reading.columns import Block, Columns, model_columns
from camoe.stream.stream import ReadOptions, all_rows, stream

__all__ = [
    "BatchPlan",
    "Block",
    "Columns",
    "Ledger",
    "ReadOptions",
    "World",
    "all_rows",
    "make_plan",
    "model_columns",
    "require_complete",
    "stream",
]
