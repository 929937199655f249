"""Distributions of calibrated scores: of each head and slot on the validation days, and how far later days lie off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from camoe.contracts.config_file import Section
from camoe.contracts.drift.shift import in_cells, noise, numeric_cells, psi
from camoe.contracts.heads import HeadSet
from camoe.contracts.slots import SlotCatalogue
from camoe.metrics.histogram import BINS_PER_LOGIT, P_MAX, P_MIN, Histogram, Ints, logit_bin
from camoe.metrics.platt import Platt, calibrated_state
from camoe.metrics.state import STRIDE, wide_bin

# Rows by the lowest narrow bin of a wide one, as in `camoe.metrics.state`.
Bins = Mapping[int, int]
LEVELS = {"p05": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95}


class ScoreReference(Section):
    """Calibrated scores of a head in a slot: `rows`, of which `counts` lie in cells that begin at the bins `starts`.

    `quantiles` of the scores are those of bins that hold p within 5 %.
    """

    objective: str
    head: str
    slot: str
    rows: int
    starts: tuple[int, ...]
    counts: tuple[int, ...]
    quantiles: Mapping[str, float]


class ScoreShift(Section):
    """How far scores of a head in a slot lie from their reference: the stability index, and what chance alone gives."""

    objective: str
    head: str
    slot: str
    rows: int
    reference_rows: int
    psi: float | None
    psi_by_chance: float | None
    quantiles: Mapping[str, float]
    reference_quantiles: Mapping[str, float]


def score_bins(p: npt.NDArray[np.float64]) -> Ints:
    """Return the wide bin of each probability."""
    return wide_bin(logit_bin(np.clip(p, P_MIN, P_MAX)))


def references(
    states: Mapping[str, Sequence[Histogram]], calibration: Mapping[str, Platt], heads: HeadSet, slots: SlotCatalogue
) -> list[ScoreReference]:
    """Return the references of `states`, a head's raw predictions by slot id; slots without rows have none."""
    found = []
    for head in heads.heads:
        for slot, raw in zip(slots.slots, states[head.name], strict=True):
            bins = _counted(calibrated_state(raw, calibration[head.name])) if raw.rows else {}
            if bins:
                starts = numeric_cells(bins)
                found.append(
                    ScoreReference(
                        objective=head.objective,
                        head=head.name,
                        slot=slot.id,
                        rows=sum(bins.values()),
                        starts=starts,
                        counts=_in_order(bins, starts),
                        quantiles=quantiles(bins),
                    )
                )
    return found


def score_shift(reference: ScoreReference, later: Bins) -> ScoreShift:
    """Return how far the rows of `later` bins lie from the `reference`."""
    counts = _in_order(later, reference.starts)
    return ScoreShift(
        objective=reference.objective,
        head=reference.head,
        slot=reference.slot,
        rows=sum(later.values()),
        reference_rows=reference.rows,
        psi=psi(reference.counts, counts),
        psi_by_chance=noise(reference.counts, counts),
        quantiles=quantiles(later),
        reference_quantiles=reference.quantiles,
    )


def quantiles(bins: Bins) -> dict[str, float]:
    """Return the quantiles of the scores in `bins`, each the middle of the bin that it lies in; none of no rows."""
    if not bins:
        return {}
    ordered = sorted(bins)
    reached = np.cumsum([bins[number] for number in ordered])
    places = np.searchsorted(reached, np.array(list(LEVELS.values())) * reached[-1])
    middles = expit((np.array(ordered)[places] + STRIDE / 2) / BINS_PER_LOGIT)
    return {name: float(f"{value:.4g}") for name, value in zip(LEVELS, middles, strict=True)}


def _counted(state: Histogram) -> dict[int, int]:
    numbers, place = np.unique(wide_bin(state.bin), return_inverse=True)
    counts = np.bincount(place, weights=state.count).astype(int)
    return dict(zip(numbers.tolist(), counts.tolist(), strict=True))


def _in_order(bins: Bins, starts: Sequence[int]) -> tuple[int, ...]:
    counted = in_cells(bins, starts)
    return tuple(counted[str(place)] for place in range(len(starts)))
