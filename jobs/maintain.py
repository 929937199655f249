"""Look after the tables of one output folder. What removes something only lists it until --delete is given.

python jobs/maintain.py orphans --older-than 24h out=out/mine      files and rows that crashed runs left
python jobs/maintain.py vacuum --retain 7d out=out/mine            files that no version to keep needs
python jobs/maintain.py pins out=out/mine                          versions that jobs are reading
python jobs/maintain.py forget --users FILE out=out/mine           users' rows in the history
spark-submit --properties-file conf/spark/local.conf jobs/maintain.py compact out=out/mine    small files

COMMAND --help tells its options.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from camoe.config.command_line import load_config, parse
from camoe.config.ending import exit_with
from camoe.config.pipeline import Config
from camoe.contracts.errors import MaintenanceError
from camoe.contracts.places.pins import read_pins, remove_pin
from features.maintenance import command_line as says
from features.spark.told import told


def run_orphans(chosen: argparse.Namespace, config: Config) -> None:
    """List, and with --delete remove, what crashed runs left."""
    from features.maintenance.committed import clear_rows
    from features.maintenance.history import unread_rows
    from features.maintenance.orphans import at_work, clear, leftovers, spared

    before = spared(datetime.now(UTC) - says.age(chosen.older_than), working := at_work(config.layout))
    files, rows = leftovers(config.layout, before), unread_rows(config.layout, before)
    if chosen.delete:
        clear(files)
        clear_rows(rows)
    print("\n".join(says.orphan_lines(files, rows, working, chosen.delete)))


def run_vacuum(chosen: argparse.Namespace, config: Config) -> None:
    """List, and with --delete remove, the files that no version to keep needs."""
    from camoe.train.checkpoint.needed import needed_versions
    from features.maintenance.keep import Keep, keep_pinned, keep_scored
    from features.maintenance.orphans import tables
    from features.maintenance.vacuum import plan_vacuum, remove_files, require_safe

    layout, retain, plans = config.layout, says.age(chosen.retain), []
    require_safe(retain, chosen.force)
    for table in tables(layout):
        keep = keep_pinned(layout, table)
        if table == layout.training:
            for predictions in {layout.predictions, config.predictions_table}:
                keep += keep_scored(predictions)
            keep += [Keep(version, "--keep-version") for version in chosen.keep_version]
            keep += [Keep(version, why) for version, why in needed_versions(layout)]
        plans.append(plan_vacuum(table, keep, datetime.now(UTC) - retain))
    if chosen.delete:
        remove_files(plans)
    print("\n".join(line for plan in plans for line in says.vacuum_lines(plan, chosen.delete)))


def run_pins(chosen: argparse.Namespace, config: Config) -> None:
    """List the pins, or remove one."""
    if chosen.remove:
        remove_pin(config.layout.pins, chosen.remove, chosen.force)
    print("\n".join(says.pin_lines(read_pins(config.layout.pins))))


def run_compact(chosen: argparse.Namespace, config: Config) -> None:
    """Rewrite small files into full ones."""
    from features.maintenance.compact import compact
    from features.spark.session import spark_session

    layout, size = config.layout, (config.rows_per_file, chosen.days, config.bytes_per_file)
    print("\n".join(says.compact_lines(compact(spark_session("maintain", layout.logs), layout, *size))))


def run_forget(chosen: argparse.Namespace, config: Config) -> None:
    """List, and with --delete remove, users' events and sums in the history."""
    from features.maintenance.forget import forget, plan_forget, read_users
    from features.settings import history_folder

    own = history_folder(config.layout, config.sources, config.features, config.days.zone)
    plan = plan_forget(config.layout, own, config.features.history, read_users(chosen.users), chosen.keep)
    print("\n".join(says.forget_lines(forget(plan, chosen.delete), chosen.delete)))


def main(argv: list[str]) -> None:
    """Run one command."""
    top, made = says.parsers(__doc__ or "", (run_orphans, run_vacuum, run_pins, run_compact, run_forget))
    chosen = parse(made[argv[0]], argv[1:]) if argv and argv[0] in made else top.parse_args(argv)
    config = load_config(chosen)
    if not config.out.is_dir():
        raise MaintenanceError(f"there is no folder {config.out}; name the output folder with out=")
    chosen.run(chosen, config)


if __name__ == "__main__":
    exit_with(told(main))
