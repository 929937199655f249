"""What a scoring job did: with the model that is named, or with the champion and, beside it, its shadows."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from camoe.contracts.errors import CamoeError
from camoe.contracts.features import FeatureSet
from camoe.contracts.layout import Layout
from camoe.contracts.places import counts
from camoe.contracts.shown.redaction import redacted
from camoe.registry.named import NamedModel, named_model, shadows
from camoe.score.drift import Drift, DriftError, told
from camoe.score.scorer import ScoringModel, read_model, require_features


class ShadowError(CamoeError):
    """A shadow could not score what the champion has scored."""


@dataclass(frozen=True, eq=False)
class Scored:
    """Predictions of `rows` of some days with a model: their number by slot, and their drift."""

    model: ScoringModel
    days: tuple[date, ...]
    rows: int
    by_slot: Mapping[str, int]
    drift: Drift
    path: Path | str
    seconds: float

    def tell(self, counted: Path, stage: str = "score") -> None:
        """Print it, and add it to the counts at `counted`."""
        print(self)
        counts.record(
            counted,
            stage,
            {
                "rows_of_the_days": self.rows,
                "objectives": len(self.model.spec.heads.objectives),
                "rows_scored": sum(self.by_slot.values()),
                "by_slot": dict(sorted(self.by_slot.items())),
                "unknown_categories": {name: dict(of) for name, of in self.drift.seen.unknown.counts().items()},
                "beyond_bounds": list(self.drift.beyond),
                "days": [day.isoformat() for day in self.days],
                "model_version": self.model.manifest.model_version,
                "seconds": round(self.seconds, 1),
            },
        )

    def __str__(self) -> str:
        """Lines for the one who started the job."""
        made = f"{sum(self.by_slot.values()):,} predictions of {len(self.days)} days"
        return "\n".join(
            [
                f"score: {made} with model {self.model.manifest.model_version}",
                f"score: categories that the model does not know: {self.drift.seen.unknown}",
                str(self.drift),
                f"score: written to {self.path} in {self.seconds:.0f} s",
            ]
        )


def require_served(layout: Layout, name: str | None, features: FeatureSet) -> None:
    """Raise `BundleError` unless the model that `name` means reads some of `features`: before they are made."""
    require_features(read_model(named_model(layout, name).folder), features, "the configuration")


def score_served(
    layout: Layout, name: str | None, score: Callable[[ScoringModel], Scored], stage: str = "score"
) -> Scored:
    """Let `score` write the predictions of the model that `name` means, and tell of them; see `named_model`.

    Without a name each shadow of the registry does the same after the champion. `stage` is theirs in the counts.

    Raises:
        DriftError: the rows of the first drifted beyond the bounds; all predictions are written and told of.
        ShadowError: shadows could not; the champion's predictions and those of other shadows are written and told of.
    """
    beside = shadows(layout) if name is None else ()
    served = score(read_model(named_model(layout, name).folder))
    served.tell(layout.counts, stage)
    lost = [shadow.version for shadow in beside if not _scored_beside(shadow, layout, score, stage)]
    if served.drift.beyond:
        raise DriftError(f"the predictions are written, and there is {told(served.drift)}")
    if lost:
        raise ShadowError(
            f"the predictions of {served.model.manifest.model_version} are written, those of its shadows "
            f"{', '.join(lost)} are not, as told above; retire them (jobs/models.py retire) or mend what is wrong"
        )
    return served


def _scored_beside(shadow: NamedModel, layout: Layout, score: Callable[[ScoringModel], Scored], stage: str) -> bool:
    try:
        score(read_model(shadow.folder)).tell(layout.counts, f"{stage} of shadow {shadow.version}")
    except CamoeError as error:
        print(redacted(f"score: shadow {shadow.version}: {error}"), file=sys.stderr, flush=True)
        return False
    return True
