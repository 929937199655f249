"""The configuration files of a log, written from what its columns seem to be, with the reason of each guess."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from camoe.contracts.errors import InputError
from camoe.contracts.schema import RESERVED as RESERVED_NAMES
from camoe.contracts.sources import IMPRESSION_COLUMNS
from features.init.roles import Roles, entity_columns
from features.init.sample import Sample, sql_name

NO_ID = "no column has a value of its own in each row; rows that agree in all of these count as duplicates"
# Names that mean something else to the sources or to the training table.
RESERVED = frozenset((*IMPRESSION_COLUMNS, "available_at", "age_s", "label_as_of", *RESERVED_NAMES))
# Words that YAML takes for no text.
NO_TEXT = frozenset(("null", "true", "false", "yes", "no", "on", "off", "y", "n"))
PARTS = ("sources", "slots", "heads", "features", "days", "training")


@dataclass(frozen=True)
class Guess:
    """A log, what its columns seem to be, and the tables that its users or campaigns seem to join, by name.

    `every`: of the users, one in so many is built from. `zone`: that of the days.
    """

    name: str
    log: Sample
    roles: Roles
    entities: Mapping[str, tuple[Sample, str, str]]
    zone: str
    every: int = 1


def write_files(guess: Guess, folder: Path) -> list[Path]:
    """Write the configuration of `guess` to `folder`; return its files, the one that names the others first.

    Raises:
        InputError: one of them is there already, or the log has fewer than three days.
    """
    texts = {f"{part}/{guess.name}.yaml": text for part, text in zip(PARTS, _parts(guess), strict=True)}
    texts = {f"{guess.name}.yaml": _whole(guess), **texts}
    there = [folder / name for name in texts if (folder / name).exists()]
    if there:
        raise InputError(f"{there[0]} is there already; choose another --name, or remove it")
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def _parts(guess: Guess) -> tuple[str, ...]:
    return _sources(guess), _slots(guess), _heads(guess), _features(guess), _days(guess), _training()


def _whole(guess: Guess) -> str:
    parts = "".join(f"{part}: {part}/{guess.name}.yaml\n" for part in PARTS)
    return (
        f"# Guessed by jobs/init.py from {guess.log.path.name}: read each file before you build.\n"
        f"out: out/{guess.name}\ninput: {_text(str(guess.log.path.parent.resolve()))}\n{parts}"
    )


def _sources(guess: Guess) -> str:
    roles = guess.roles
    labels = [_line(name, f"cast({sql_name(name)} as int)", roles.reasons[name]) for name in roles.labels]
    sample = (
        [
            f"  exclude:\n    # One user in {guess.every}; remove it to build from all.\n",
            f"    - {{name: not_sampled, where: {_text(f'pmod(xxhash64(user_id), {guess.every}) <> 0')}}}\n",
        ]
        if guess.every > 1
        else []
    )
    entities = [_entity(name, *entity) for name, entity in guess.entities.items()]
    parts = ["impressions:\n", _table(guess.log), "  columns:\n", *_columns(guess), "  labels:\n", *labels, *sample]
    parts += ["entities:\n", *entities] if entities else ["entities: {}\n"]
    return "".join(parts) + f"objectives: {{{', '.join(f'{_text(name)}: {{}}' for name in roles.labels)}}}\n"


def _columns(guess: Guess) -> list[str]:
    log, roles = guess.log, guess.roles
    ids = [name for name in (roles.user, roles.campaign, roles.slot, roles.time) if name]
    made = f"concat_ws('-', {', '.join(map(sql_name, ids))})"
    reasons = {**roles.reasons, "": ""}
    return [
        _line("impression_id", sql_name(roles.id) if roles.id else made, reasons[roles.id or ""] or NO_ID),
        _line(
            "user_id", _as_text(roles.user), reasons[roles.user or ""] or "no column looks like one: all are one user"
        ),
        _line("campaign_id", _as_text(roles.campaign), reasons[roles.campaign or ""] or "no column looks like one"),
        _line("slot", _slot_sql(guess), reasons[roles.slot or ""] or "no column looks like one: there is one slot"),
        _line("ts", log.time_sql(roles.time) or f"try_cast({sql_name(roles.time)} as timestamp)", reasons[roles.time]),
        *[_line(own_name(name), sql_name(name)) for name in roles.categorical],
        *[_line(own_name(name), _number(log, name)) for name in roles.numeric],
    ]


def _line(name: str, sql: str, reason: str = "") -> str:
    return f"    {_text(name)}: {_text(sql)}{_why(reason)}"


def _number(sample: Sample, name: str) -> str:
    """Return the SQL of a number; to Spark all columns of a CSV are text, and those of JSON may be."""
    return sql_name(name) if sample.format == "parquet" else f"try_cast({sql_name(name)} as double)"


def own_name(column: str) -> str:
    """Return the name under which a column is mapped: its own, unless that means something else."""
    plain = re.sub(r"\W", "_", column).strip("_") or "column"
    return f"own_{plain}" if plain.lower() in RESERVED else plain


def _table(sample: Sample, indent: str = "  ") -> str:
    options = f"{indent}options: {json.dumps(sample.options)}\n" if sample.options else ""
    return f"{indent}path: {_text(sample.path.name)}\n{indent}format: {sample.format}\n{options}"


def _entity(name: str, sample: Sample, key: str, column: str) -> str:
    lines = [f"      {_text(key)}: {_text(_as_text(column))}\n"]
    for one, kind in entity_columns(sample, column):
        sql = _number(sample, one) if kind == "numeric" else sql_name(one)
        lines.append(f"      {_text(own_name(one))}: {_text(sql)}\n")
    return f"  {name}:\n{_table(sample, '    ')}    key: {key}\n    columns:\n{''.join(lines)}"


def _slot_sql(guess: Guess) -> str:
    return f"concat('slot_', {sql_name(guess.roles.slot)})" if guess.roles.slot else "'all'"


def _slots(guess: Guess) -> str:
    names = [f"slot_{value}" for value in guess.log.values(guess.roles.slot)] if guess.roles.slot else ["all"]
    odd = [name for name in names if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name)]
    if odd:
        raise InputError(f"the placement '{odd[0]}' is no name of a folder; name another column with --slot, or none")
    lines = "".join(f"  - {{id: {_text(name)}, name: {_text(name)}, modality: all}}\n" for name in names)
    return f"# The values of the first rows; others are excluded and counted. Append, never reorder.\nslots:\n{lines}"


def _heads(guess: Guess) -> str:
    lines = "".join(f"  - {{name: {_text(name)}, objective: {_text(name)}}}\n" for name in guess.roles.labels)
    return f"# One head a label; docs/training.md tells of heads by slot.\nheads:\n{lines}"


def _features(guess: Guess) -> str:
    roles = guess.roles
    out = [f"# Not read: {name}: {why}.\n" for name, why in roles.left_out.items()]
    categorical = [
        "  - {name: hour, sql: hour(local_ts)}\n",
        *(["  - {name: slot, sql: slot}\n"] if roles.slot else []),
    ]
    categorical += [_feature(own_name(name), own_name(name), roles.reasons[name]) for name in roles.categorical]
    numeric = [_feature(own_name(name), own_name(name), roles.reasons[name]) for name in roles.numeric]
    for name, (sample, _, column) in guess.entities.items():
        for one, kind in entity_columns(sample, column):
            line = _feature(f"{name}_{own_name(one)}", f"{name}.{own_name(one)}", f"of {sample.path.name}")
            (categorical if kind == "categorical" else numeric).append(line)
    counted = {
        "user": ("user_id", roles.user),
        "campaign": ("campaign_id", roles.campaign),
        "slot": ("slot", roles.slot),
    }
    keys = [f"    {key}: [{column}]\n" for key, (column, found) in counted.items() if found]
    history = [
        "# What came before each impression; docs/history.md.\nhistory:\n",
        f"  since: {guess.log.days(roles.time, guess.zone)[0]}\n  delay_s: 60\n",
        f"  objectives: {json.dumps(list(roles.labels))}\n  smoothing: fitted\n  keys:\n    all: []\n",
    ]
    numbers = ["numeric:\n", *numeric] if numeric else []
    return "".join([*out, "categorical:\n", *categorical, *numbers, *history, *keys])


def _feature(name: str, sql: str, reason: str) -> str:
    return f"  - {{name: {_text(name)}, sql: {_text(sql)}}}{_why(reason)}"


def _days(guess: Guess) -> str:
    first, last = (date.fromisoformat(day) for day in guess.log.days(guess.roles.time, guess.zone))
    if last - first < timedelta(days=2):
        raise InputError(
            f"{guess.log.path} has rows of {first} to {last} only; training, validation and test need a day each"
        )
    parts = {"train": (first, last - timedelta(days=2)), "validation": (last - timedelta(days=1),) * 2,
             "test": (last, last)}  # fmt: skip
    lines = "".join(f"{name}: {{first: {begin}, last: {end}}}\n" for name, (begin, end) in parts.items())
    return f"# The last day is the test day, the one before it chooses and calibrates.\nzone: {guess.zone}\n{lines}"


def _training() -> str:
    return "# A start; docs/training.md tells what to try.\nbatch_size: 1024\nepochs: 3\nlearning_rate: 0.002\n"


def _as_text(column: str | None) -> str:
    return f"cast({sql_name(column)} as string)" if column else "'all'"


def _text(value: str) -> str:
    """Return the value as YAML writes it: as it is where it is a plain word, else in quotes."""
    plain = re.fullmatch(r"[A-Za-z_][\w./-]*", value) and value.lower() not in NO_TEXT
    return value if plain else json.dumps(value, ensure_ascii=False)


def _why(reason: str) -> str:
    return f"  # {reason}\n" if reason else "\n"
