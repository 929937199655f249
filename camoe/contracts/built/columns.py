"""Features that days of the training table have, held against those that a model reads."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import MappingProxyType

from camoe.contracts import encoder as encoders
from camoe.contracts.days import day_list
from camoe.contracts.encoder import Encoder
from camoe.contracts.features import FeatureSet
from camoe.contracts.runs import RunRecord, encoder_version

NONE: Mapping[str, str] = MappingProxyType({})


def lacking(
    records: Mapping[date, RunRecord], days: Iterable[date], wanted: Mapping[str, str]
) -> dict[str, tuple[date, ...]]:
    """Return by feature the `days` whose rows lack it, or have it by another definition than the one that is `wanted`.

    Days of older records, which do not say, lack nothing.
    """
    found: dict[str, list[date]] = {}
    for day in days:
        there = records[day].definitions(day)
        for name in (name for name, made in wanted.items() if there and there.get(name) != made):
            found.setdefault(name, []).append(day)
    return {name: tuple(of) for name, of in found.items()}


def how_to_build(lacking: Mapping[str, Collection[date]]) -> str:
    """Say which features are not built on which days, and the command that builds them."""
    by_days: dict[str, list[str]] = {}
    for name, days in lacking.items():
        by_days.setdefault(day_list(days), []).append(name)
    told = "; ".join(f"{', '.join(names)} on {days}" for days, names in by_days.items())
    every = day_list(day for of in lacking.values() for day in of)
    return (
        f"{told}; with the configuration that declares them, add them by jobs/add_columns.py --days {every} "
        f"--columns {','.join(lacking)}"
    )


def profiled(
    records: Mapping[date, RunRecord], wanted: Mapping[str, str] = NONE
) -> tuple[set[tuple[date, str]], set[tuple[date, str, str]]]:
    """Return whose counts of values describe the days: (day, run); of these, (day, run, feature) do not any more.

    Nor do those of a feature that is `wanted` by another definition.
    """
    described: set[tuple[date, str]] = set()
    outdated: set[tuple[date, str, str]] = set()
    for day, record in records.items():
        built = record.built_by(day)
        for layer in record.layers(day):
            described.add((day, layer.run_id))
            outdated |= {
                (day, layer.run_id, name)
                for name, made in layer.features.items()
                if built[name] is not layer or wanted.get(name, made) != made
            }
    return described, outdated


def encoder_that_wrote(folder: Path, records: Mapping[date, RunRecord], features: FeatureSet) -> Encoder:
    """Return the newest encoder in `folder` of the runs of `records`, with what of each vocabulary their rows may have.

    Columns that were added later may come from a newer version than the others of a day.

    Raises:
        EncoderError: a version is missing or damaged.
    """
    versions: dict[str, int] = {}
    for day, record in records.items():
        for name, layer in record.built_by(day).items():
            vocabulary = features.vocabulary_of.get(name)
            if vocabulary is not None:
                versions[vocabulary] = max(versions.get(vocabulary, 0), layer.encoder_version)
    newest = encoders.read(folder, encoder_version(records))
    older = {of: encoders.read(folder, of) for of in set(versions.values()) - {newest.version}}
    known = {name: older[of].values[name] for name, of in versions.items() if of in older}
    return newest.as_known_by(replace(newest, values={**newest.values, **known}))
