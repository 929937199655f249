"""What a scoring job is to do, and what it has seen: scores by objective, slot, head and bin, unknown categories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pyarrow as pa

from camoe.contracts.snapshot import Snapshot
from camoe.metrics.scores import score_bins
from camoe.score.scorer import ScoringModel
from camoe.score.unknown import Unknown

BY = ("objective", "slot", "head")


@dataclass(frozen=True)
class Seen:
    """Rows by (objective, slot, head, bin of `camoe.metrics.scores`), and categories that are unknown to the model."""

    scores: Counter[tuple[str, str, str, int]] = field(default_factory=Counter)
    unknown: Unknown = field(default_factory=Unknown)

    def add(self, predictions: pa.Table) -> None:
        """Count the scores of `predictions`, which have the columns of `Scorer.predict`."""
        bins = pa.array(score_bins(predictions["p"].to_numpy()))
        counted = (
            predictions.select(BY).append_column("bin", bins).group_by([*BY, "bin"]).aggregate([([], "count_all")])
        )
        for row in counted.select([*BY, "bin", "count_all"]).to_pylist():
            self.scores[row["objective"], row["slot"], row["head"], row["bin"]] += row["count_all"]

    def by_slot(self) -> dict[str, int]:
        """Return the predictions of each slot."""
        found: Counter[str] = Counter()
        for (_, slot, _, _), rows in self.scores.items():
            found[slot] += rows
        return dict(found)

    def bins(self) -> dict[tuple[str, str, str], dict[int, int]]:
        """Return the rows by bin, of each objective, slot and head."""
        found: dict[tuple[str, str, str], dict[int, int]] = {}
        for (objective, slot, head, number), rows in self.scores.items():
            found.setdefault((objective, slot, head), {})[number] = rows
        return found


@dataclass(frozen=True)
class Work:
    """The scores of a `model` for `days` of a `snapshot`, to be written into the table at `path`.

    `check` looks at what was seen before anything is written, and raises where nothing is to be.
    """

    model: ScoringModel
    snapshot: Snapshot
    days: tuple[date, ...]
    path: Path | str
    check: Callable[[Seen], object] | None = None
