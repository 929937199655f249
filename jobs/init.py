"""Write a first configuration for a log, guessed from the names and the first rows of its columns, without Spark.

python jobs/init.py /data/log.parquet /data/users.csv --name mine
python jobs/init.py s3://bucket/log.parquet --name mine

The first file is the impression log, the others are tables of its users or campaigns. Written are conf/mine.yaml and
the six files that it names; each guess has its reason as a comment. Read them, then run the check that is named last.
What is guessed to be a label, or to be known only after the impression, is no feature.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from camoe.config import job_line, next_line, positive
from camoe.config.command_line import described, given_place
from camoe.config.ending import exit_with
from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.contracts.errors import InputError

if TYPE_CHECKING:
    from features.init.roles import Roles

ROLES = {"time": "when it happened", "user": "whom", "campaign": "what was shown", "slot": "where", "id": "its own id",
         "label": "what is to be predicted"}  # fmt: skip


def options() -> argparse.ArgumentParser:
    """Return the parser of the job's command line."""
    made = described(__doc__ or "")
    made.add_argument(
        "files", nargs="+", type=given_place, metavar="FILE", help="parquet, CSV with a header, or JSON lines"
    )
    made.add_argument("--name", type=_name, required=True, help="name of the configuration, and of its folder in out/")
    made.add_argument("--folder", type=Path, default=Path("conf"), help="where to write it (default: conf)")
    made.add_argument("--zone", default="UTC", help="time zone of the days (default: UTC)")
    made.add_argument("--sample", type=positive, default=1, metavar="N", help="build from one user in N")
    for role, what in ROLES.items():
        made.add_argument(f"--{role}", metavar="COLUMN", help=f"{what} (default: guessed)")
    return made


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", text):
        raise argparse.ArgumentTypeError(f"'{text}' must be of A-Z a-z 0-9 _ -")
    return text


def written(chosen: argparse.Namespace, copies: Iterable[Path]) -> tuple[list[Path], Roles]:
    """Write the configuration of the files that are given, and have `copies` here; return its files and the roles.

    Raises:
        InputError: a file cannot be read, or is no table of the log's users or campaigns.
    """
    from features.init.files import Guess, write_files
    from features.init.roles import guess_roles, joined_by
    from features.init.sample import read_sample

    log, *others = map(read_sample, chosen.files, copies)
    roles = guess_roles(log, {role: getattr(chosen, role) for role in ROLES})
    entities = {}
    for table in others:
        found = joined_by(table, log, roles)
        if found is None or table.path.parent != log.path.parent:
            raise InputError(
                f"{table.path} does not lie beside the log, or none of its columns has one row a user or campaign of "
                "the log; write its entry by docs/your-data.md"
            )
        entities[re.sub(r"\W", "_", table.path.name.partition(".")[0])] = (table, *found)
    return write_files(Guess(chosen.name, log, roles, entities, chosen.zone, chosen.sample), chosen.folder), roles


def main(argv: list[str]) -> None:
    """Look at the files, write the configuration, and say what was guessed."""
    chosen = options().parse_args(argv)
    from camoe.contracts.places.nearby import nearby

    with nearby(chosen.files) as copies:
        files, roles = written(chosen, copies)
    load(files[0], Config)
    for role in ("time", "user", "campaign", "slot", "id"):
        print(f"{role:<11} {getattr(roles, role) or 'none'}")
    print(f"labels      {', '.join(roles.labels)}")
    print(f"features    {', '.join((*roles.categorical, *roles.numeric))}")
    for name, why in roles.left_out.items():
        print(f"not read    {name}: {why}")
    print(f"init: written to {', '.join(map(str, files))}; read them before you build")
    print(next_line(job_line("check", f"--config {files[0]}")))


if __name__ == "__main__":
    exit_with(main)
