"""What a scoring job did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from camoe.contracts.places import counts
from camoe.score.scorer import ScoringModel
from camoe.score.unknown import Unknown


@dataclass(frozen=True, eq=False)
class Scored:
    """Predictions of `rows` of some days with a model: their number by slot, and what the model did not know."""

    model: ScoringModel
    days: tuple[date, ...]
    rows: int
    by_slot: Mapping[str, int]
    unknown: Unknown
    path: Path
    seconds: float

    def tell(self, counted: Path) -> None:
        """Print it, and add it to the counts at `counted`."""
        print(self)
        counts.record(
            counted,
            "score",
            {
                "rows_of_the_days": self.rows,
                "objectives": len(self.model.spec.heads.objectives),
                "rows_scored": sum(self.by_slot.values()),
                "by_slot": dict(sorted(self.by_slot.items())),
                "unknown_categories": self.unknown.counts(),
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
                f"score: categories that the model does not know: {self.unknown}",
                f"score: written to {self.path} in {self.seconds:.0f} s",
            ]
        )
