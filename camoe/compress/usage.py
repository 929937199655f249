"""What the rows of the training days show of a model's parts: one pass, for everything that may be cut."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from camoe.contracts.snapshot import Snapshot
from camoe.model.camoe import Camoe
from camoe.model.layers.linear import aligned
from camoe.model.loss import Masking, masking_of
from camoe.model.networks.mixture import MixtureOfExperts
from camoe.model.spec import ModelSpec
from camoe.stream.api import Block, all_rows, model_columns

BATCH = 8192


@dataclass(frozen=True)
class Usage:
    """Figures of a model over rows, float64; H heads, K experts (0 for a model whose heads share none).

    `contribution` `[H, K]`: mean over the rows that a head serves of `g_hk(x) |E_k(x)|`. `alike` `[K, K]`: correlation
    of the experts' outputs. `looked_up` `[V]`: how often each row of the embedding table was read. `spread` `[D]`:
    standard deviation of each number of the shared bottom.
    """

    contribution: Tensor
    alike: Tensor
    looked_up: Tensor
    spread: Tensor


def usage_of(model: Camoe, spec: ModelSpec, snapshot: Snapshot) -> Usage:
    """Return what the rows of `snapshot` show of `model` of `spec`.

    Raises:
        StreamError: not each row came exactly once.
    """
    with contextlib.closing(all_rows(snapshot, model_columns(spec.features, ()), BATCH)) as blocks:
        return usage_in(blocks, model, spec)


def usage_in(blocks: Iterable[Block], model: Camoe, spec: ModelSpec) -> Usage:
    """Return what the rows of `blocks` show of `model` of `spec`."""
    sums = _Sums(model, spec, masking_of(spec, adaptive=True))
    with torch.inference_mode():
        for block in blocks:
            sums.add(block)
    return sums.usage()


class _Sums:
    """Sums over rows, from which `Usage` comes."""

    def __init__(self, model: Camoe, spec: ModelSpec, masking: Masking) -> None:
        body, width = model.body, spec.bottom_width
        self.model, self.masking, self.rows = model, masking, 0
        self.body = body if isinstance(body, MixtureOfExperts) else None
        heads, experts = len(spec.heads.heads), body.gate_width if self.body else 0
        self.served, self.weighted = _zeros(heads), _zeros(heads, experts)
        self.total, self.products = torch.zeros(()), _zeros(experts, experts)
        self.looked_up = torch.zeros(model.embedding.table.num_embeddings, dtype=torch.int64)
        self.x, self.x_squared = _zeros(width), _zeros(width)

    def add(self, block: Block) -> None:
        """Take in the rows of `block`."""
        categorical, numeric, sequences, slot = (
            torch.from_numpy(of.copy()) for of in (block.categorical, block.numeric, block.sequences, block.slot)
        )
        self.rows += block.rows
        for rows in self._read(categorical, sequences):
            self.looked_up += torch.bincount(rows.flatten(), minlength=len(self.looked_up))
        x = self.model.bottom(categorical, numeric, sequences)
        self.x, self.x_squared = self.x + x.double().sum(dim=0), self.x_squared + x.double().square().sum(dim=0)
        if self.body is None:
            return
        served = self.masking.served[self.masking.cells(slot.long(), categorical)].double()
        wide = aligned(x)
        outputs, weights = self.body.experts(wide).double(), torch.stack(self.body.weights(wide), dim=1).double()
        self.served = self.served + served.sum(dim=0)
        self.weighted = self.weighted + torch.einsum("bh,bhk,bk->hk", served, weights, outputs.norm(dim=2))
        self.total = self.total + outputs.sum(dim=0)
        self.products = self.products + torch.einsum("bke,ble->kl", outputs, outputs)

    def _read(self, categorical: Tensor, sequences: Tensor) -> Iterator[Tensor]:
        """Yield the rows of the table that these indices read."""
        embedding, pooling = self.model.embedding, self.model.sequences
        yield embedding.rows(categorical, slice(categorical.shape[1]))
        parts = torch.split(sequences, [1 + column.length for column in pooling.columns], dim=1)
        for column, table, part in zip(pooling.columns, pooling.tables, parts, strict=True):
            yield embedding.rows(part[:, 1:][torch.arange(column.length) < part[:, :1]].long(), table)

    def usage(self) -> Usage:
        """Return the figures of all rows."""
        rows, mean = max(self.rows, 1), self.x / max(self.rows, 1)
        spread = (self.x_squared / rows - mean.square()).clamp(min=0).sqrt()
        if self.body is None:
            return Usage(self.weighted, self.products, self.looked_up, spread)
        centred = self.products - torch.einsum("ke,le->kl", self.total, self.total) / rows
        size = centred.diagonal().clamp(min=torch.finfo(torch.float64).tiny).sqrt()
        contribution = self.weighted / self.served.clamp(min=1).unsqueeze(1)
        return Usage(contribution, centred / size.outer(size), self.looked_up, spread)


def _zeros(*shape: int) -> Tensor:
    return torch.zeros(shape, dtype=torch.float64)
