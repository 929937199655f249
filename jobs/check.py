"""Check a configuration against its input, without Spark: what is wrong is told within seconds, all at once.

python jobs/check.py --config conf/mine.yaml input=/data/lake

Looked at are keys and values, names of heads, objectives and features, the days and their files, the columns that
expressions name, the types of identifiers, and whether the training table takes these settings. Spark, which
resolves and runs the expressions, may find more.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from camoe.config import Config, given, given_days, job_line, load_config, next_line, parse, parser
from camoe.config.ending import exit_with
from camoe.contracts.days import Days, day_list
from camoe.contracts.errors import CamoeError, InputError

if TYPE_CHECKING:
    from features.check.inputs import InputCheck
    from features.plan import Plan


def options() -> argparse.ArgumentParser:
    """Return the parser of the job's command line."""
    made = parser(__doc__ or "")
    made.add_argument("--days", type=given_days, help="days whose files are looked at (default: all configured ones)")
    made.add_argument("--replace", action="store_true", help="a training table of other settings is to be replaced")
    return made


def main(argv: list[str]) -> None:
    """Say what the configuration and its input are, and what is wrong with them."""
    started = time.monotonic()
    chosen = parse(options(), argv)
    from features.check.inputs import check_input
    from features.plan import plan_for

    config = load_config(chosen, reads_input=True)
    plan = replace(plan_for(config, chosen.days or config.days.all_days()), replace=chosen.replace)
    found = check_input(plan.folder, plan.sources, plan.features, plan.window)
    faults = [plan.addressed(fault) for fault in (*found.faults, *_of_the_table(plan))]
    print("\n".join([*_declared(config), *_there(found)]))
    for fault in faults:
        print(f"wrong       {fault}")
    if faults:
        raise InputError(f"{len(faults)} thing{'s' * (len(faults) > 1)} to mend, each named above")
    print(f"check: nothing is wrong as far as is seen without Spark ({time.monotonic() - started:.1f} s)")
    print(next_line(job_line("build_features", given(chosen))))


def _of_the_table(plan: Plan) -> list[str]:
    """Return what is wrong with building into the training table that is there."""
    from features.tables.training import is_remade

    try:
        is_remade(plan.target)
    except CamoeError as error:
        return [str(error)]
    return []


def _declared(config: Config) -> list[str]:
    features, heads = config.features, config.heads.heads
    counts = {
        "categorical": len(features.categorical),
        "numeric": len(features.numeric),
        "of the history": len(features.numerics) - len(features.numeric),
        "sequences": len(features.sequence),
    }
    return [
        f"days        {_days(config.days)}",
        f"slots       {len(config.slots.slots)}: {', '.join(slot.id for slot in config.slots.slots)}",
        f"heads       {len(heads)}: {', '.join(f'{head.name} ({head.objective})' for head in heads)}",
        f"features    {', '.join(f'{count} {kind}' for kind, count in counts.items() if count)}",
    ]


def _days(days: Days) -> str:
    parts = {"training": days.train, "validation": days.validation, "test": days.test}
    return ", ".join(f"{name} {day_list(part.days())}" for name, part in parts.items()) + f" in {days.zone}"


def _there(found: InputCheck) -> list[str]:
    tables = [f"{name:<11} {look}" for name, look in found.tables.items()]
    types = ", ".join(f"{name} {kind}" for name, kind in found.identifiers.items())
    return [*tables, f"types       {types}"] if types else tables


if __name__ == "__main__":
    exit_with(main)
