"""The one commit of a run to the training table: it replaces the run's days, all of them or none."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pyspark.sql import DataFrame, DataFrameWriterV2, SparkSession
from pyspark.sql import functions as F

from camoe.contracts.days import day_list
from camoe.contracts.errors import CamoeError
from camoe.contracts.layout import SLOTS_PROPERTY, TRAINING_PARTITIONS
from camoe.contracts.runs import makers
from camoe.contracts.snapshot import logged
from features.commit import CONFLICTS, Commit, Run, commit_after, has_log, signed
from features.failures import first_line
from features.first_commit import making_alone, set_aside
from features.table import RETENTION, SAFE_FOR_FILE_READERS, SLOT_CONSTRAINT, Target, is_remade, slots_appended

Options = Mapping[str, str | int]
Write = Callable[[DataFrame, Target, Collection[date], Options], None]


class ConcurrentRunError(CamoeError):
    """Another run changed what this one was about to replace."""


@dataclass(frozen=True)
class Switch:
    """What is to be replaced: `days` of `target`, of which `version` and `makers` (runs by day) were found before.

    `runs` is the folder of the run records.
    """

    target: Target
    days: tuple[date, ...]
    version: int
    makers: Mapping[date, frozenset[str]]
    rows_per_file: int
    runs: Path


def replace_days(rows: DataFrame, switch: Switch, run: Run) -> Commit:
    """Put `rows` in the place of the days, in one commit; the table is made where there is none.

    A run commits once: tried again, it changes nothing and has the commit that it made.

    Raises:
        ConcurrentRunError: another run replaced one of the days, or the whole table, since it was found.
        InputError: another run made the table meanwhile, with other settings.
    """
    made = commit_after(switch.target.path, switch.version, run) if has_log(switch.target.path) else None
    if made is not None:
        return made
    if is_remade(switch.target):
        return _attempt(_replace_table, rows, switch, run)
    if not has_log(switch.target.path):
        with making_alone(switch.runs):
            if not has_log(switch.target.path):
                set_aside(switch.target.path, run.run_id)
                return _attempt(_create_table, rows, switch, run)
        # Another run made it meanwhile; when its settings are these and its days others, both can hold.
        is_remade(switch.target)
    _require_as_found(switch, run)
    try:
        return _attempt(_replace_days, rows, switch, run)
    except CONFLICTS as error:
        _require_as_found(switch, run)
        raise ConcurrentRunError(
            f"another job changed {switch.target.path} while run {run.run_id} was writing ({first_line(error)}); "
            "nothing of this run is left: run it again"
        ) from error


def _attempt(write: Write, rows: DataFrame, switch: Switch, run: Run) -> Commit:
    options = {**run.transaction(), "maxRecordsPerFile": switch.rows_per_file}
    with signed(rows.sparkSession, run):
        write(rows, switch.target, switch.days, options)
    commit = commit_after(switch.target.path, switch.version, run)
    if commit is None:
        raise ConcurrentRunError(f"{switch.target.path} has no commit of run {run.run_id}; run it again")
    return commit


def _create_table(rows: DataFrame, target: Target, days: Collection[date], options: Options) -> None:
    _new_table(rows, target, options).create()


def _replace_table(rows: DataFrame, target: Target, days: Collection[date], options: Options) -> None:
    _new_table(rows, target, options).createOrReplace()


def _new_table(rows: DataFrame, target: Target, options: Options) -> DataFrameWriterV2:
    new = rows.writeTo(target.identifier).using("delta")
    for name, value in options.items():
        new = new.option(name, value)
    for name, text in {**SAFE_FOR_FILE_READERS, **RETENTION, **target.constraints, **target.properties}.items():
        new = new.tableProperty(name, text)
    return new.partitionedBy(*[F.col(name) for name in TRAINING_PARTITIONS])


def _replace_days(rows: DataFrame, target: Target, days: Collection[date], options: Options) -> None:
    if slots_appended(target):
        _append_slots(rows.sparkSession, target)
    condition = f"date IN ({', '.join(repr(day.isoformat()) for day in days)})"
    writer = rows.write.format("delta").mode("overwrite").options(**options)
    writer.option("replaceWhere", condition).save(str(target.path.resolve()))


def _append_slots(spark: SparkSession, target: Target) -> None:
    """The one change of the table's metadata; runs that write at this moment will have to start again.

    The property comes last: until then the next run does all of it again.
    """
    name = SLOT_CONSTRAINT.rpartition(".")[2]
    for change in (
        f"DROP CONSTRAINT IF EXISTS {name}",
        f"ADD CONSTRAINT {name} CHECK ({target.constraints[SLOT_CONSTRAINT]})",
        f"SET TBLPROPERTIES ('{SLOTS_PROPERTY}' = '{target.properties[SLOTS_PROPERTY]}')",
    ):
        spark.sql(f"ALTER TABLE {target.identifier} {change}")


def _require_as_found(switch: Switch, run: Run) -> None:
    now = makers(logged(switch.target.path))
    changed = {day: now.get(day, frozenset()) for day in switch.days if now.get(day) != switch.makers.get(day)}
    if changed:
        others = ", ".join(sorted({name for names in changed.values() for name in names}))
        raise ConcurrentRunError(
            f"another run replaced the same days meanwhile: {day_list(changed)} of {switch.target.path} now come from "
            f"{others or 'no run'}; nothing of run {run.run_id} is left; run it again if its input is the newer one"
        )
