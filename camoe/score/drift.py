"""Drift: how scored days differ from those that the model was validated on and learned from, held against bounds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from camoe.bundle.manifest import METRICS, read_part
from camoe.contracts.errors import CamoeError
from camoe.contracts.files import write_json
from camoe.metrics.config import DriftConfig
from camoe.metrics.scores import ScoreReference, ScoreShift, score_shift
from camoe.score.scorer import ScoringModel, own_encoder
from camoe.score.seen import Seen

# By feature: `rows`, shares `missing` and `unknown`, `psi` and `psi_by_chance`, of the scored days against training's.
FeatureShifts = Mapping[str, Mapping[str, Any]]
# Gives them for the `features` and the `encoder` of a model, and the days that it learned from, as `reference`.
ShiftsOf = Callable[..., FeatureShifts]
SHOWN = 3


class DriftError(CamoeError):
    """Scored days differ from the model's by more than the declared bounds."""

    code = 3


@dataclass(frozen=True)
class Drift:
    """Shifts of scored days from what was `seen` of them; `beyond` says what of them is beyond the bounds, a line each.

    `silent` are heads that served validation rows and no scored one; None of an older bundle, which has no reference.
    """

    seen: Seen
    scores: tuple[ScoreShift, ...] | None
    features: FeatureShifts
    silent: tuple[str, ...] | None
    beyond: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {
            "scores": None if self.scores is None else [shift.model_dump() for shift in self.scores],
            "features": dict(self.features),
            "unknown": self.seen.unknown.counts(),
            "heads_without_rows": None if self.silent is None else list(self.silent),
            "beyond_bounds": list(self.beyond),
        }

    def __str__(self) -> str:
        """Lines for the one who started the job."""
        if self.scores is None:
            scores = "the bundle has no scores of its validation days; train again to have them"
        else:
            largest = sorted((shift for shift in self.scores if shift.psi), key=lambda shift: -(shift.psi or 0))
            scores = ", ".join(f"{shift.head} in {shift.slot} {shift.psi:.3f}" for shift in largest[:SHOWN]) or "none"
        moved = sorted(((of["psi"], name) for name, of in self.features.items() if of["psi"]), reverse=True)
        features = ", ".join(f"{name} {value:.3f}" for value, name in moved[:SHOWN]) or "none"
        lines = [f"PSI of scores against the validation days: {scores}"]
        lines.append(f"PSI of features against the training days: {features}")
        if self.silent:
            lines.append(f"heads without a row: {', '.join(self.silent)}")
        return "\n".join(f"score: {line}" for line in [*lines, *(f"beyond bounds: {line}" for line in self.beyond)])


@dataclass(frozen=True)
class Watch:
    """What is looked at: `bounds`, the shifts of features by model where they can be had, and the folder of documents.

    `strict`: drift beyond the bounds is told before anything is written, and nothing is.
    """

    bounds: DriftConfig
    folder: Path
    shifts_of: ShiftsOf | None = None
    strict: bool = False

    def look(self, model: ScoringModel, seen: Seen) -> Drift:
        """Return the drift of what was `seen`, and write it as `<model version>.json` into the folder."""
        metrics = json.loads(read_part(model.folder, model.manifest, METRICS))
        held = metrics.get("scores")
        known = None if held is None else tuple(ScoreReference.model_validate(one) for one in held)
        learned = [date.fromisoformat(day) for day in metrics.get("data", {}).get("train_days", ())]
        features: FeatureShifts = {}
        if self.shifts_of is not None and learned:
            features = self.shifts_of(features=model.spec.features, encoder=own_encoder(model), reference=learned)
        drift = drift_of(known, seen, features, self.bounds)
        bounds = self.bounds.model_dump()
        version = model.manifest.model_version
        document = {"model_version": version, "bounds": bounds, **drift.document()}
        write_json(self.folder / f"{version}.json", document)
        return drift

    def before_writing(self, model: ScoringModel, seen: Seen) -> None:
        """Raise `DriftError` where drift beyond the bounds is to stop the job."""
        drift = self.look(model, seen)
        if drift.beyond:
            print(drift, flush=True)
            raise DriftError(f"nothing was written: {told(drift)}")


def told(drift: Drift) -> str:
    """Return what is beyond the bounds, in a line."""
    more = f"; and {len(drift.beyond) - SHOWN} more" if len(drift.beyond) > SHOWN else ""
    return f"drift beyond the declared bounds (drift): {'; '.join(drift.beyond[:SHOWN])}{more}"


def drift_of(
    reference: Sequence[ScoreReference] | None, seen: Seen, features: FeatureShifts, bounds: DriftConfig
) -> Drift:
    """Return the shifts of what was `seen` from the `reference`, and of `features`, held against `bounds`."""
    bins = seen.bins()
    heads = {head for _, _, head in bins}
    scores, silent = None, None
    if reference is not None:
        scores = tuple(score_shift(one, bins.get((one.objective, one.slot, one.head), {})) for one in reference)
        silent = tuple(dict.fromkeys(one.head for one in reference if one.head not in heads))
    unknown = seen.unknown.counts()
    found = (*_of_scores(scores or (), bounds), *_of_features(features, bounds), *_of_unknown(unknown, bounds))
    absent = [f"head {head} has no row" for head in silent or ()] if bounds.every_head else []
    return Drift(seen, scores, features, silent, (*found, *absent))


def _of_scores(shifts: Sequence[ScoreShift], bounds: DriftConfig) -> Iterator[str]:
    for one in shifts:
        above = _above(one.psi, one.psi_by_chance, bounds.scores) if one.rows >= bounds.least_rows else None
        if above is not None:
            yield f"scores of {one.head} in {one.slot}: PSI {above:.3f} above {bounds.scores:g}"


def _of_features(shifts: FeatureShifts, bounds: DriftConfig) -> Iterator[str]:
    for name, one in shifts.items():
        judged = one["rows"] >= bounds.least_rows and name not in bounds.moving
        above = _above(one["psi"], one["psi_by_chance"], bounds.features) if judged else None
        if above is not None:
            yield f"feature {name}: PSI {above:.3f} above {bounds.features:g}"


def _above(psi: float | None, chance: float | None, bound: float | None) -> float | None:
    """Return the index less what chance alone would give where that is above the bound."""
    beyond = None if psi is None or bound is None else psi - (chance or 0.0)
    return beyond if beyond is not None and bound is not None and beyond > bound else None


def _of_unknown(unknown: Mapping[str, Mapping[str, int]], bounds: DriftConfig) -> Iterator[str]:
    for name, one in unknown.items():
        if (
            bounds.unknown is not None
            and one["of"] >= bounds.least_rows
            and one["unknown"] > bounds.unknown * one["of"]
        ):
            yield f"{name}: {one['unknown'] / one['of']:.1%} unknown, above {bounds.unknown:.1%}"
