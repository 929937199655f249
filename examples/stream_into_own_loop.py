"""Stream a training table into a training loop of your own: here logistic regression over hashed embeddings.

python examples/stream_into_own_loop.py out/synthetic/training --epochs 2

An epoch delivers every row once, mixed over slots and days, or ends with an error. With several processes give each its
own World(rank, size), and `require_complete` the sum of all their ledgers.
"""

from __future__ import annotations

import argparse

import torch
from torch import nn

from camoe.contracts.snapshot import pin
from camoe.stream.ledger import Ledger, require_complete
from camoe.stream.planning.plan import make_plan
from camoe.stream.planning.world import World
from camoe.stream.reading.columns import Columns
from camoe.stream.stream import ReadOptions, stream

BUCKETS = 10_007


def main() -> None:
    """Pin the table, train, and say the mean loss of each epoch over the rows whose label is known."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("table", help="folder or s3:// address of the Delta table that jobs/build_features.py wrote")
    options.add_argument("--label", default="label_click")
    options.add_argument("--epochs", type=int, default=1)
    options.add_argument("--batch-size", type=int, default=1024)
    chosen = options.parse_args()
    table = pin(chosen.table)
    categorical, numeric = (tuple(name for name in table.columns if name.startswith(kind)) for kind in ("cat_", "num_"))
    columns = Columns(categorical, numeric, labels=(chosen.label,))
    torch.manual_seed(1)
    embedding, linear = nn.EmbeddingBag(BUCKETS, 1, mode="sum"), nn.Linear(len(numeric), 1)
    nn.init.zeros_(embedding.weight)  # The unit variance that it begins with takes epochs to unlearn.
    optimiser = torch.optim.Adam([*embedding.parameters(), *linear.parameters()], lr=0.01)
    offset = torch.arange(len(categorical)) * 7919  # The same index means another value in another column.
    for epoch in range(chosen.epochs):
        plan = make_plan(table, seed=1, epoch=epoch, batch_size=chosen.batch_size, lanes=4)
        ledger, total, labelled = Ledger(), 0.0, 0
        for block in stream(plan, columns, World(0, 1), ReadOptions(), ledger=ledger):
            label = torch.from_numpy(block.labels[:, 0]).float()
            known = label >= 0
            numbers = torch.from_numpy(block.numeric).nan_to_num().asinh()
            logit = embedding((torch.from_numpy(block.categorical) + offset) % BUCKETS) + linear(numbers)
            loss = nn.functional.binary_cross_entropy_with_logits(logit[known, 0], label[known], reduction="sum")
            optimiser.zero_grad()
            torch.autograd.backward(loss / block.rows)
            optimiser.step()
            total, labelled = total + loss.item(), labelled + int(known.sum())
        require_complete(plan, ledger.as_array(plan))
        print(f"epoch {epoch + 1}: {plan.rows} rows, {labelled} with a label, loss {total / labelled:.4f}")


if __name__ == "__main__":
    main()
