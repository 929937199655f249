"""The result of a feature run, for counts.json and for the reader at the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from camoe.contracts.days import day_list
from camoe.contracts.encoder import Encoder
from features.delta.commit import Commit
from features.impressions.outcome_tally import OutcomeTally
from features.impressions.tally import Tally
from features.join.choice import Choice
from features.plan import Plan
from features.report.coverage import Coverage

DAYS_SHOWN = 12


@dataclass(frozen=True)
class BuildResult:
    """A run's result: rows of both logs by disposition, joins, the commit, stale days, and the report's document.

    `content` is the hash of each day's rows, `rebuild` are the options that build the stale days again.
    """

    plan: Plan
    tally: Tally
    outcomes: OutcomeTally
    choices: tuple[Choice, ...]
    coverage: tuple[Coverage, ...]
    encoder: Encoder
    commit: Commit
    content: Mapping[date, str]
    stale: Mapping[date, str]
    accepted: tuple[str, ...]
    rebuild: str
    report: Mapping[str, Any]

    @property
    def matched(self) -> dict[str, float]:
        """Share of the impressions that an entity matched, over all days."""
        return {item.entity: round(item.matched, 6) for item in self.coverage if item.day is None}

    def counts(self) -> dict[str, Any]:
        """Return the run as counts.json keeps it."""
        slots: dict[str, dict[str, int]] = {}
        for (day, slot), rows in self.tally.kept.items():
            slots.setdefault(day.isoformat(), {})[slot] = rows
        return {
            "run_id": self.plan.run_id,
            "days": [day.isoformat() for day in self.plan.window.days],
            "as_of": self.plan.window.as_of.isoformat(),
            "label_as_of": self.report["run"]["label_as_of"],
            "read": self.tally.read,
            "excluded": dict(self.tally.excluded),
            "duplicates": self.tally.duplicates,
            "quarantined": dict(self.tally.quarantined),
            "outcomes": self.outcomes.counts(),
            "written": self.tally.rows_kept,
            "rows_per_day_and_slot": slots,
            "content_hash": {day.isoformat(): text for day, text in self.content.items()},
            "joins": {choice.entity: str(choice) for choice in self.choices},
            "entity_rows": {
                choice.entity: {"read": choice.rows, "without_key_or_time": choice.unusable} for choice in self.choices
            },
            "matched": self.matched,
            "vocabulary": self.encoder.sizes(),
            "encoder_version": self.encoder.version,
            "table_version": self.commit.version,
            "accepted": list(self.accepted),
            "stale_days": {day.isoformat(): reason for day, reason in self.stale.items()},
        }

    def summary(self, command: str) -> str:
        """Tell of the run in a few lines; `command` starts the job, and is shown with options for the stale days."""
        counted, plan = self.tally, self.plan
        per_day = counted.per_day()
        added = sorted(set(plan.window.days) - set(plan.asked))
        lines = [
            f"run         {plan.run_id}, days {day_list(plan.window.days)}, as of {plan.window.as_of.isoformat()}",
            *([f"cascade     added {day_list(added)}"] if added else []),
            f"read        {counted.read:>12,}",
            f"excluded    {sum(counted.excluded.values()):>12,}{_parts(counted.excluded)}",
            f"duplicates  {counted.duplicates:>12,}",
            f"quarantined {counted.rows_quarantined:>12,}{_parts(counted.quarantined)}",
            f"written     {counted.rows_kept:>12,}  on {len(per_day)} days",
            *content_lines(per_day, self.content),
            *[f"join        {choice}" for choice in self.choices],
            "matched     " + (", ".join(f"{name} {share:.2%}" for name, share in self.matched.items()) or "nothing"),
            *[f"accepted    {line}" for line in self.accepted],
            *[f"told late   {name}: {found}" for name, found in self.outcomes.log.late.items()],
            *[f"leak?       {area['warning']}" for area in self.report.get("history", ()) if area["warning"]],
            f"table       {plan.layout.table} version {self.commit.version}",
            f"encoder     {plan.layout.encoder} version {self.encoder.version}",
            f"beside it   {plan.layout.quarantine}, {plan.layout.profiles}, {plan.layout.runs}/{plan.run_id}.json",
        ]
        return "\n".join([*lines, *stale_lines(self.stale, self.rebuild, command)])


def content_lines(rows: Mapping[date, int], content: Mapping[date, str]) -> list[str]:
    """Tell the rows and the content's hash of the first days."""
    more = [f"  and {len(rows) - DAYS_SHOWN} days more, in counts.json"] if len(rows) > DAYS_SHOWN else []
    return [*[f"  {day}{rows[day]:>12,}  content {content[day]}" for day in list(rows)[:DAYS_SHOWN]], *more]


def stale_lines(stale: Mapping[date, str], rebuild: str, command: str) -> list[str]:
    """Tell which days are stale, why, and what builds them again."""
    if not stale:
        return ["stale       no days"]
    return [f"stale       {day_list(stale)}: {next(iter(stale.values()))}", f"rebuild     {command} {rebuild}"]


def _parts(counted: Mapping[str, int]) -> str:
    text = ", ".join(f"{name} {rows:,}" for name, rows in counted.items())
    return f"  ({text})" if text else ""
