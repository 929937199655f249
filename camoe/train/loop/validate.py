"""NE of each head on the validation days, the score that chooses weights, and how gates use the experts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from scipy.special import xlogy

from camoe.metrics.calibration import normalised_entropy
from camoe.metrics.histogram import Floats, Histogram, merge
from camoe.model.camoe import Camoe
from camoe.model.loss import Masking, targets
from camoe.stream.reading.columns import Block
from camoe.train.checkpoint.history import Validation
from camoe.train.distributed.workers import Workers, gather, sum_over_workers
from camoe.train.loop.tensors import to_tensors


def validate(
    model: Camoe, masking: Masking, blocks: Iterable[Block], workers: Workers, *, dtype: torch.dtype
) -> Validation:
    """Score this worker's `blocks`, each row by the heads that serve it, and add up over all workers.

    So it is without masking, too: a head that learned from all rows is judged on those that it scores.
    """
    model.eval()
    serving = masking.serving
    heads = len(masking.weight)
    states = [Histogram.empty() for _ in range(heads)]
    gates = torch.zeros(heads, model.gate_width, dtype=torch.float64)
    rows = torch.zeros(heads, dtype=torch.float64)
    cells = torch.zeros(heads, len(serving.served), 2, dtype=torch.float64)
    with torch.inference_mode():
        for block in blocks:
            batch = to_tensors(block, workers.device, dtype)
            logits, weights = model(batch.categorical, batch.numeric, batch.sequences)
            cell = serving.cells(batch.slot, batch.categorical)
            label, mask = targets(serving, batch.labels, cell)
            p = torch.sigmoid(logits)
            for head in range(heads):
                own = mask[:, head]
                states[head] += Histogram.from_rows(p[own, head].cpu(), label[own, head].cpu())
                told = torch.stack([label[own, head] == 0, label[own, head] == 1], dim=1).to(torch.float64)
                cells[head].index_add_(0, cell[own].cpu(), told.cpu())
            gates += torch.einsum("bh,bhk->hk", mask.to(dtype), weights).cpu()
            rows += mask.sum(dim=0).cpu()
    model.train()
    merged = [merge(parts, 1) for parts in zip(*gather(states, "validation"), strict=True)]
    ne = [float(normalised_entropy(state.bins())) for state in merged]
    mean_gates = sum_over_workers(gates, "gates") / sum_over_workers(rows, "gate_rows").clamp(min=1).unsqueeze(1)
    labels = sum_over_workers(cells, "cells").numpy()
    score = row_entropy(merged, labels, masking.weight.cpu().numpy())
    return Validation(tuple(ne), tuple(map(tuple, mean_gates.tolist())), score)


def row_entropy(states: Sequence[Histogram], labels: Floats, weight: Floats) -> float:
    """Return the log loss of all rows over that of the rate of their cell; infinite where every cell has one label.

    `labels` `[heads, cells, 2]` counts the labels 0 and 1 of each; a row counts by the `weight` `[heads]` of its head.
    Of heads of one weight a row has the same part in it whichever heads there are, so models of other heads can be
    compared by it.
    """
    rows = labels.sum(axis=2)
    entropy = weight @ (xlogy(rows, rows).sum(axis=1) - xlogy(labels, labels).sum(axis=(1, 2)))
    loss = weight @ np.array([state.log_loss.sum() for state in states])
    return float(loss / entropy) if entropy > 0 else float("inf")
