"""Guesses of what the columns of a log are, by their names and first rows; each has its reason."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from camoe.contracts.errors import InputError
from camoe.contracts.shown.suggestions import suggestion
from features.init.sample import Sample

# Names by what they usually hold; the first pattern that fits a column whose values fit, too.
TIME = r"(^|_)(ts|time_?stamp|event_time|time_ms|datetime|time|date)(_|$)"
USER = r"(^|_)(user|uid|user_?id|visitor|member|cookie|device_?id)(_?id)?$"
CAMPAIGN = r"(^|_)(campaign|ad|ad_?group|creative|item|video|product|banner|article|doc)(_?id)?$"
ID = r"(^|_)(impression|request|event|log|row|search|record)?_?(id|key|uuid)$"
SLOT = r"(^|_)(slot|placement|position|pid|tab|zone|inventory|page|site|channel|surface)(_?id)?$"
LABEL = r"(^|_)(is_)?(click(ed)?|clk|label|target|y|conver(ted|sion)|purchased?|installed?|liked?|booked|ordered)$"
# What is told only once the ad was shown, by the sound of its name.
AFTER = (
    r"(play_?time|dwell|watch|stay|revenue|gmv|paid|purchase|order|conver|click|comment|follow|forward|hate|like|share)"
)
# A time, or a part of one.
MOMENT = r"(^|_)(date|time|ts|hour\w*|minute|day|month|week)(_|$)"
MOST_SLOTS = 50


@dataclass(frozen=True)
class Roles:
    """What each column is. `reasons`: why, by column; `left_out`: columns that are no features, and why."""

    time: str
    user: str | None
    campaign: str | None
    slot: str | None
    id: str | None
    labels: tuple[str, ...]
    categorical: tuple[str, ...]
    numeric: tuple[str, ...]
    reasons: Mapping[str, str]
    left_out: Mapping[str, str] = field(default_factory=dict)


def guess_roles(sample: Sample, given: Mapping[str, str | None]) -> Roles:
    """Return what the columns of the log seem to be; `given` names those that its owner has told, by role.

    Raises:
        InputError: a given column is not there, or no column looks like a time or a label.
    """
    names: list[str] = sample.rows.column_names
    for role, name in given.items():
        if name is not None and name not in names:
            raise InputError(f"--{role} {name}: there is no such column in {sample.path}; {suggestion(name, names)}")
    taken: set[str] = set()

    def choose(role: str, pattern: str, fits: Mapping[str, bool]) -> str | None:
        found = given.get(role) or next(
            (name for name in names if re.search(pattern, name.lower()) and name not in taken and fits.get(name)), None
        )
        taken.update({found} if found else ())
        return found

    every = dict.fromkeys(names, True)
    timed = {name: sample.time_sql(name) is not None for name in names}
    time = choose("time", TIME, timed) or choose("time", "", timed)
    if time is None:
        raise InputError(
            f"no column of {sample.path} looks like a time; name it with --time COLUMN, "
            "or write the files by docs/your-data.md, which has what stands in for one"
        )
    user = choose("user", USER, every)
    slot = choose("slot", SLOT, {name: sample.distinct(name) <= MOST_SLOTS for name in names})
    told = given.get("label")
    flags = [name for name in names if re.search(LABEL, name.lower()) and name not in taken and sample.is_flag(name)]
    labels = [told] if told else flags
    if not labels:
        raise InputError(f"no column of {sample.path} looks like a label (0 and 1); name it with --label COLUMN")
    taken.update(labels)
    campaign = choose("campaign", CAMPAIGN, every)
    key = choose("id", ID, {name: sample.is_unique(name) for name in names})
    found = {"time": time, "user": user, "campaign": campaign, "slot": slot, "id": key}
    reasons = {name: _reason(sample, role, name, given) for role, name in found.items() if name is not None}
    reasons |= dict.fromkeys(labels, "holds 0 and 1, and is named as a label")
    rest = [name for name in names if name not in taken]
    left_out = {name: why for name in rest if (why := _no_feature(sample, name, labels, timed))}
    kinds = {name: _kind(sample, name) for name in rest if name not in left_out}
    reasons |= {name: reason for name, (_, reason) in kinds.items()}
    categorical = tuple(name for name, (kind, _) in kinds.items() if kind == "categorical")
    numeric = tuple(name for name, (kind, _) in kinds.items() if kind == "numeric")
    return Roles(time, user, campaign, slot, key, tuple(labels), categorical, numeric, reasons, left_out)


def _reason(sample: Sample, role: str, name: str, given: Mapping[str, str | None]) -> str:
    if given.get(role):
        return f"given with --{role}"
    return {
        "time": "holds times",
        "user": f"by its name; {sample.distinct(name):,} values in {sample.rows.num_rows:,} rows",
        "campaign": f"by its name; {sample.distinct(name):,} values in {sample.rows.num_rows:,} rows",
        "slot": f"by its name; {sample.distinct(name)} values",
        "id": "by its name; each row has its own",
    }[role]


def _no_feature(sample: Sample, name: str, labels: list[str], timed: Mapping[str, bool]) -> str:
    """Return why the column is no feature; empty where it can be one."""
    if re.search(AFTER, name.lower()) or re.search(LABEL, name.lower()):
        return "may be known only after the impression, by its name"
    if labels and sample.is_flag(name):
        return "holds 0 and 1, as labels do; name it in features if it is known before the impression"
    if timed[name] or re.search(MOMENT, name.lower()):
        return "another time or a part of one; features have local_ts"
    if sample.is_nested(name):
        return "holds lists or records; name the parts of it that are features"
    if sample.distinct(name) <= 1:
        return "has one value in the first rows, or none"
    own = not sample.is_number(name) and sample.distinct(name) * 2 > sample.rows.num_rows
    return "nearly every row has its own value" if own else ""


def _kind(sample: Sample, name: str) -> tuple[str, str]:
    """Return whether a feature is categorical or numeric, and why."""
    distinct = sample.distinct(name)
    if not sample.is_number(name):
        return "categorical", f"text, {distinct:,} values"
    whole = str(sample.rows[name].type).startswith(("int", "uint"))
    if whole and (distinct <= MOST_SLOTS or re.search(r"(_|^)(id|code|type|level|cat\w*)$", name.lower())):
        return "categorical", f"whole numbers, {distinct:,} values: codes, it seems"
    return "numeric", f"{'whole numbers' if whole else 'fractions'}, {distinct:,} values"


def entity_columns(sample: Sample, key: str) -> list[tuple[str, str]]:
    """Return the columns of a table joined by `key` that can be features, each categorical or numeric."""
    names = [name for name in sample.rows.column_names if name != key]
    fit = [
        name
        for name in names
        if not _no_feature(sample, name, [], {one: sample.time_sql(one) is not None for one in names})
    ]
    return [(name, _kind(sample, name)[0]) for name in fit]


def joined_by(sample: Sample, log: Sample, roles: Roles) -> tuple[str, str] | None:
    """Return the mapped column by which the table joins the log, and its own; None where nothing shows it."""
    for key, name in (("user_id", roles.user), ("campaign_id", roles.campaign)):
        for own in sample.rows.column_names:
            pattern = USER if key == "user_id" else CAMPAIGN
            if name and sample.is_unique(own) and (own == name or re.search(pattern, own.lower())):
                return key, own
    return None
