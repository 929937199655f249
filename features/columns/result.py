"""The result of a run that adds columns, for counts.json and for the reader at the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from camoe.contracts.days import day_list
from camoe.contracts.encoder import Encoder
from features.delta.commit import Commit
from features.join.choice import Choice
from features.plan import Plan
from features.result import content_lines, stale_lines


@dataclass(frozen=True)
class AddedColumns:
    """Rows by (day, slot) that got columns, the tables that were `read` for them, and the commit.

    `content` is the hash of each day's rows, `rebuild` are the options that build stale days again.
    """

    plan: Plan
    rows: Mapping[tuple[date, str], int]
    choices: tuple[Choice, ...]
    matched: Mapping[str, float]
    read: tuple[str, ...]
    encoder: Encoder
    commit: Commit
    content: Mapping[date, str]
    stale: Mapping[date, str]
    rebuild: str
    accepted: tuple[str, ...]

    def counts(self) -> dict[str, Any]:
        """Return the run as counts.json keeps it."""
        return {
            "run_id": self.plan.run_id,
            "days": [day.isoformat() for day in self.plan.window.days],
            "columns": list(self.plan.added),
            "read": list(self.read),
            "written": sum(self.rows.values()),
            "content_hash": {day.isoformat(): text for day, text in self.content.items()},
            "joins": {choice.entity: str(choice) for choice in self.choices},
            "matched": {name: round(share, 6) for name, share in self.matched.items()},
            "encoder_version": self.encoder.version,
            "table_version": self.commit.version,
            "accepted": list(self.accepted),
            "stale_days": {day.isoformat(): reason for day, reason in self.stale.items()},
        }

    def summary(self, command: str) -> str:
        """Tell of the run in a few lines; `command` starts the job, and is shown with options for the stale days."""
        plan, per_day = self.plan, dict.fromkeys(sorted({day for day, _ in self.rows}), 0)
        for (day, _), rows in self.rows.items():
            per_day[day] += rows
        lines = [
            f"run         {plan.run_id}, days {day_list(plan.window.days)}",
            f"columns     {', '.join(plan.added)}",
            f"read        {', '.join(self.read) or 'the table alone'}",
            f"written     {sum(self.rows.values()):>12,}  on {len(per_day)} days, all other columns as they were",
            *content_lines(per_day, self.content),
            *[f"join        {choice}" for choice in self.choices],
            "matched     " + (", ".join(f"{name} {share:.2%}" for name, share in self.matched.items()) or "nothing"),
            *[f"accepted    {line}" for line in self.accepted],
            f"table       {plan.layout.table} version {self.commit.version}",
            f"encoder     {plan.layout.encoder} version {self.encoder.version}",
        ]
        return "\n".join([*lines, *stale_lines(self.stale, self.rebuild, command)])
