"""What a scoring job is to do, and what it has seen: scores by objective, slot, head and bin, unknown categories."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pyarrow as pa

from camoe.contracts.snapshot import Snapshot
from camoe.metrics.scores import score_bins
from camoe.score.graph_inputs import GraphInputs
from camoe.score.scorer import Scorer, ScoringModel
from camoe.score.unknown import Unknown, unknown_in

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

    def text(self) -> str:
        """Return it as JSON."""
        return json.dumps([[*self.scores.items()], self.unknown.found, self.unknown.seen])

    def add_text(self, text: str) -> None:
        """Add what another one, whose `text` this is, has counted in other rows."""
        scores, found, seen = json.loads(text)
        for key, rows in scores:
            self.scores[tuple(key)] += rows
        self.unknown.add(Unknown(Counter(found), Counter(seen)))

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

    def look(self, seen: Seen) -> None:
        """Let the check, where there is one, look at what was seen."""
        if self.check is not None:
            self.check(seen)


def predict_and_count(scorer: Scorer, inputs: GraphInputs, carried: pa.Table, seen: Seen) -> pa.Table:
    """Return the predictions of the rows of `inputs`, as `Scorer.predict_inputs` does, and count them in `seen`."""
    predictions = scorer.predict_inputs(inputs, carried)
    seen.add(predictions)
    seen.unknown.add(unknown_in(inputs.categorical, inputs.sequences, scorer.spec))
    return predictions
