"""NE of each head on the validation days, and how its gate uses the experts."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from camoe.metrics.calibration import normalised_entropy
from camoe.metrics.histogram import Floats, Histogram, merge
from camoe.model.camoe import Camoe
from camoe.model.loss import Masking, targets
from camoe.stream.reading.columns import Block
from camoe.train.checkpoint.history import Validation
from camoe.train.distributed.workers import Workers, gather, sum_over_workers
from camoe.train.loop.step import to_tensors


def validate(
    model: Camoe, masking: Masking, blocks: Iterable[Block], workers: Workers, dtype: torch.dtype
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
    with torch.inference_mode():
        for block in blocks:
            batch = to_tensors(block, workers.device, dtype)
            logits, weights = model(batch.categorical, batch.numeric, batch.sequences)
            label, mask = targets(serving, batch.labels, serving.cells(batch.slot, batch.categorical))
            p = torch.sigmoid(logits)
            for head in range(heads):
                own = mask[:, head]
                states[head] += Histogram.from_rows(p[own, head].cpu(), label[own, head].cpu())
            gates += torch.einsum("bh,bhk->hk", mask.to(dtype), weights).cpu()
            rows += mask.sum(dim=0).cpu()
    model.train()
    merged = [merge(parts, 1) for parts in zip(*gather(states, "validation"), strict=True)]
    ne = np.array([float(normalised_entropy(state.bins())) for state in merged])
    mean_gates = sum_over_workers(gates, "gates") / sum_over_workers(rows, "gate_rows").clamp(min=1).unsqueeze(1)
    return Validation(tuple(ne), tuple(map(tuple, mean_gates.tolist())), _weighted(ne, masking.weight.cpu().numpy()))


def _weighted(ne: Floats, weight: Floats) -> float:
    known = ~np.isnan(ne)
    return float((ne[known] * weight[known]).sum() / weight[known].sum()) if known.any() else float("inf")
