"""What the experts of a model do: who uses which, how alike they are, and what its gates look at."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from camoe.bundle.manifest import Bundle
from camoe.bundle.model import read_module
from camoe.contracts.errors import BundleError
from camoe.contracts.snapshot import Snapshot
from camoe.evaluation.gates import (
    Floats,
    Ints,
    Specialisation,
    alignment,
    divergence,
    effective_number,
    specialisation,
)
from camoe.model.camoe import Camoe
from camoe.model.layers.linear import aligned
from camoe.model.networks.mixture import MixtureOfExperts
from camoe.model.spec import ModelSpec
from camoe.stream.api import Block, Ledger, ReadOptions, World, make_plan, model_columns, require_complete, stream

USER = "user_id"
BATCH = 8192
# Rows that fields are shuffled among; more would tell the same.
SHUFFLED_ROWS = 8192
SHUFFLES = 500


@dataclass(frozen=True)
class Experts:
    """The report on a model's experts: H heads, K experts, S slots.

    `weights` `[H, S, K]`: mean weight that each head's gate gives, whether it serves the slot or not; NaN for a slot
    without rows. `distances` `[H, H]`: mean Jensen-Shannon divergence of two gates on the same rows, in bits. `alike`
    `[K, K]`: see `alignment`. `in_use` and `in_use_by_row` `[H]`: effective number of experts of a head's mean weights,
    and the mean of its rows'. `fields` `[H]` by name: how far a gate's weights move when the field is shuffled among
    rows, mean total variation. `modalities`: whether experts specialise by modality, each row by its own head's gate;
    None where all rows are of one.
    """

    heads: tuple[str, ...]
    slots: tuple[str, ...]
    rows: Ints
    weights: Floats
    distances: Floats
    alike: Floats
    in_use: Floats
    in_use_by_row: Floats
    fields: Mapping[str, Floats]
    modalities: Specialisation | None


@dataclass(frozen=True)
class _Rows:
    """All rows: `gates` `[N, H, K]`, `slot` and `user` `[N]`, and the outputs' sum `[KE]`, and products `[KE, KE]`."""

    gates: Floats
    slot: Ints
    user: Ints
    total: Floats
    products: Floats
    sample: Inputs


@dataclass(frozen=True)
class Inputs:
    """Inputs of a model: `categorical` `[N, C]`, `numeric` `[N, F]`, `sequences` `[N, S]`."""

    categorical: Tensor
    numeric: Tensor
    sequences: Tensor


def first_model(bundle: Bundle) -> Camoe:
    """Return the model of `bundle`, of an ensemble its first one, whose experts there is something to report on.

    Raises:
        BundleError: it has no experts that all heads share.
    """
    model, spec = read_module(bundle).members[0], bundle.spec
    if not isinstance(model.body, MixtureOfExperts):
        raise BundleError(
            f"the model of {bundle.folder} is a {spec.model.kind} and has no experts that all heads share; the report "
            "is on those of camoe and mmoe"
        )
    return model


def experts_of(model: Camoe, spec: ModelSpec, snapshot: Snapshot, seed: int) -> Experts:
    """Return the report on the experts of `model` of `spec`, a mixture, over the rows of `snapshot`.

    Raises:
        StreamError: not each row came exactly once.
    """
    assert isinstance(model.body, MixtureOfExperts)
    with torch.inference_mode():
        rows = _read(model, model.body, spec, snapshot)
        fields = _fields(model, model.body, spec, rows.sample, seed)
    served = _served(spec)[rows.slot]
    slots = np.arange(len(spec.slots.slots))
    mean_by_head = np.array([rows.gates[served[:, head], head].mean(axis=0) for head in range(served.shape[1])])
    by_row = effective_number(rows.gates)
    mean = rows.total / len(rows.slot)
    return Experts(
        heads=tuple(head.name for head in spec.heads.heads),
        slots=tuple(slot.id for slot in spec.slots.slots),
        rows=np.bincount(rows.slot, minlength=len(slots)),
        weights=_by_slot(rows, slots),
        distances=_distances(rows.gates),
        alike=alignment(rows.products / len(rows.slot) - np.outer(mean, mean), model.body.gate_width),
        in_use=effective_number(mean_by_head),
        in_use_by_row=np.array([by_row[served[:, head], head].mean() for head in range(served.shape[1])]),
        fields=fields,
        modalities=_modalities(spec, rows, served, seed),
    )


def _read(model: Camoe, body: MixtureOfExperts, spec: ModelSpec, snapshot: Snapshot) -> _Rows:
    plan, ledger = make_plan(snapshot, seed=0, epoch=0, batch_size=BATCH, lanes=4), Ledger()
    columns = model_columns(spec.features, (), keys=(USER,))
    gates, slots, users, samples = list[Floats](), list[Ints](), list[Floats](), list[Inputs]()
    total, products = np.zeros(()), np.zeros(())
    with contextlib.closing(stream(plan, columns, World(0, 1), ReadOptions(), ledger=ledger)) as blocks:
        for block in blocks:
            inputs = _inputs(block)
            x = aligned(model.bottom(inputs.categorical, inputs.numeric, inputs.sequences))
            outputs = body.experts(x).flatten(1).to(torch.float64)
            total, products = total + outputs.sum(dim=0).numpy(), products + (outputs.T @ outputs).numpy()
            gates.append(_gates(body, x))
            slots.append(block.slot.astype(np.int64))
            users.append(np.array(block.keys[0], dtype=object))
            if sum(len(one.categorical) for one in samples) < SHUFFLED_ROWS:
                samples.append(inputs)
    require_complete(plan, ledger.as_array(plan))
    user = np.unique(np.concatenate(users), return_inverse=True)[1].astype(np.int64)
    sample = Inputs(*(torch.cat([getattr(one, name) for one in samples]) for name in Inputs.__annotations__))
    return _Rows(np.concatenate(gates), np.concatenate(slots), user, total, products, sample)


def _inputs(block: Block) -> Inputs:
    # Copies: what a block shows is gone with the next one.
    return Inputs(*(torch.from_numpy(of.copy()) for of in (block.categorical, block.numeric, block.sequences)))


def _gates(body: MixtureOfExperts, x: Tensor) -> Floats:
    """Return the gates' weights `[B, H, K]` for the shared bottom `x`."""
    found: Floats = torch.stack(body.weights(x), dim=1).to(torch.float64).numpy()
    return found


def _by_slot(rows: _Rows, slots: Ints) -> Floats:
    own = [rows.gates[rows.slot == slot] for slot in slots]
    missing = np.full(rows.gates.shape[1:], np.nan)
    return np.stack([one.mean(axis=0) if len(one) else missing for one in own], axis=1)


def _distances(gates: Floats) -> Floats:
    heads = gates.shape[1]
    return np.array([[divergence(gates[:, a], gates[:, b]).mean() for b in range(heads)] for a in range(heads)])


def _served(spec: ModelSpec) -> Ints:
    """Return bool `[S, H]`: whether a head serves rows of the slot; where heads select by a column, some of them."""
    heads, slots = spec.heads, spec.slots.slots
    return np.array([[head.owns(slot, heads.column) for head in heads.heads] for slot in slots])


def _modalities(spec: ModelSpec, rows: _Rows, served: Ints, seed: int) -> Specialisation | None:
    """Test whether rows of one modality get other experts than those of another, by the head of the first objective."""
    slots, first = spec.slots, spec.heads.objectives[0]
    of_first = np.array([head.objective == first for head in spec.heads.heads])
    weight = (served & of_first).astype(np.float64)
    own = (rows.gates * weight[:, :, np.newaxis]).sum(axis=1) / weight.sum(axis=1)[:, np.newaxis]
    modality = np.array([slots.modalities.index(slot.modality) for slot in slots.slots])[rows.slot]
    if len(np.unique(modality)) < 2:
        return None
    return specialisation(own, np.unique(modality, return_inverse=True)[1], rows.user, SHUFFLES, seed)


def _fields(model: Camoe, body: MixtureOfExperts, spec: ModelSpec, inputs: Inputs, seed: int) -> dict[str, Floats]:
    """Return by field how far each gate's weights move, `[H]`, when it is shuffled among the rows."""
    inputs = Inputs(*(getattr(inputs, name)[:SHUFFLED_ROWS] for name in Inputs.__annotations__))
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(inputs.categorical)))

    def gates(of: Inputs) -> Floats:
        return _gates(body, aligned(model.bottom(of.categorical, of.numeric, of.sequences)))

    before = gates(inputs)
    return {
        name: np.abs(gates(one) - before).sum(axis=2).mean(axis=0) / 2 for name, one in _shuffled(spec, inputs, order)
    }


def _shuffled(spec: ModelSpec, inputs: Inputs, order: Tensor) -> Iterator[tuple[str, Inputs]]:
    """Yield each field's name, and the inputs with that field of other rows; all sequences together are one."""
    features = spec.features
    for place, column in enumerate(features.categorical_columns):
        yield (
            column.removeprefix("cat_"),
            Inputs(_moved(inputs.categorical, [place], order), inputs.numeric, inputs.sequences),
        )
    for place, column in enumerate(features.numeric_columns):
        yield (
            column.removeprefix("num_"),
            Inputs(inputs.categorical, _moved(inputs.numeric, [place], order), inputs.sequences),
        )
    if features.sequence_columns:
        ages = range(len(features.numeric_columns), inputs.numeric.shape[1])
        yield "sequences", Inputs(inputs.categorical, _moved(inputs.numeric, ages, order), inputs.sequences[order])


def _moved(values: Tensor, columns: Sequence[int], order: Tensor) -> Tensor:
    moved, places = values.clone(), list(columns)
    moved[:, places] = values[order][:, places]
    return moved
