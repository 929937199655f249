"""Experts that each head keeps when it is served: masking without latency, a wish of Verma, Chen & Mei (KDD 2025)."""

from __future__ import annotations

import torch
from torch import Tensor

from camoe.model.ensemble import Model, keep_experts
from camoe.stream.ledger import Ledger
from camoe.stream.stream import stream
from camoe.train.distributed.workers import sum_over_workers
from camoe.train.loop.fit import TrainingRun
from camoe.train.loop.tensors import to_tensors

Kept = tuple[tuple[tuple[int, ...], ...], ...]


def keep_most_used(run: TrainingRun, model: Model, wanted: int | float | None) -> Kept:
    """Let each head of `model` use its `wanted` experts alone; return them by member and head, nothing where all stay.

    `run` reads the validation days. All workers do this at the same time.

    Raises:
        StreamError: a row of the validation days is missing or came twice.
    """
    if wanted is None:
        return ()
    weights = _mean_gates(run, model)
    kept = tuple(tuple(most_used(of_head, wanted) for of_head in of_member) for of_member in weights.tolist())
    keep_experts(model, kept)
    if run.workers.leads:
        for number, of_member in enumerate(kept, 1):
            shown = ", ".join(f"{name} {_listed(some)}" for name, some in zip(run.heads, of_member, strict=True))
            print(
                f"train: experts that are served{f' of model {number}' if len(kept) > 1 else ''}: {shown}", flush=True
            )
    return kept


def most_used(weights: list[float], wanted: int | float) -> tuple[int, ...]:
    """Return the numbers of the experts of the most weight: `wanted` of them, or so many that they have such a part."""
    order = sorted(range(len(weights)), key=lambda number: -weights[number])
    if isinstance(wanted, int):
        return tuple(sorted(order[:wanted]))
    total, had = sum(weights), 0.0
    for count, number in enumerate(order, 1):
        had += weights[number]
        if had >= wanted * total:
            return tuple(sorted(order[:count]))
    return tuple(sorted(order))


def _listed(numbers: tuple[int, ...]) -> str:
    return "+".join(str(number + 1) for number in numbers)


def _mean_gates(run: TrainingRun, model: Model) -> Tensor:
    """Return `[members, H, K]`: mean gate weights over the rows of the validation days that each head serves."""
    plan, ledger, train_step = run.data.check(run.config), Ledger(), run.train_step
    assert plan is not None
    masking = train_step.masking.serving
    width = model.members[0].gate_width
    sums = torch.zeros(len(model.members), len(run.heads), width, dtype=torch.float64)
    blocks = stream(plan, run.data.columns, run.workers.world, run.feed.reading(), ledger=ledger)
    steps = range(plan.steps)
    model.eval()
    with torch.inference_mode():
        for _, block, _ in run.watched(blocks, "the experts' weights", steps):
            batch = to_tensors(block, run.workers.device, train_step.dtype)
            served = masking.served[masking.cells(batch.slot, batch.categorical)].to(train_step.dtype)
            for place, member in enumerate(model.members):
                _, weights = member(batch.categorical, batch.numeric, batch.sequences)
                sums[place] += torch.einsum("bh,bhk->hk", served, weights).cpu()
    run.count(plan, ledger, steps)
    total = sum_over_workers(sums, "gates")
    return total / total.sum(dim=2, keepdim=True).clamp(min=torch.finfo(torch.float64).tiny)
