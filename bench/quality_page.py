"""docs/quality.md made again: tables of bench.quality, on tables that are built where they are missing.

python -m bench.quality_page --kuairand FOLDER [--out out/quality] [--parts NAME ...] [--seeds 5]

What stands in the page before its mark is kept: that is written by people; so are the sections of parts that are not
asked for. A part whose table of results lies under `--out` already is not run again; each part takes from a quarter of
an hour to two on two cores.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from camoe.config import job_line, positive
from camoe.config.ending import exit_with

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/quality.md"
HEAD = "\n## "
MARK = "<!-- From here on made by bench/quality_page.py. -->\n"
EARLIER = (
    "days.train.last=2022-04-27",
    "days.validation.first=2022-04-28",
    "days.validation.last=2022-04-28",
    "days.test.first=2022-04-29",
    "days.test.last=2022-04-29",
)


@dataclass(frozen=True)
class Part:
    """A section of the page: the configuration and its overrides."""

    title: str
    config: str
    overrides: Sequence[str] = ()


SYSTEMS = ("camoe", "lightgbm", "catboost")
PARTS: Mapping[str, Part] = {
    "kuairand": Part("KuaiRand-Pure, trained on 25 to 28 April, tested on 30 April 2022", "kuairand"),
    "kuairand_earlier": Part(
        "KuaiRand-Pure, a day earlier: trained on 25 to 27 April, tested on 29 April 2022", "kuairand", EARLIER
    ),
    "kuairand_plain": Part(
        "KuaiRand-Pure, tested on 30 April, without history",
        "kuairand",
        ("features=conf/features/kuairand_plain.yaml",),
    ),
    "synthetic": Part("The synthetic lake, tested on 11 March 2026", "synthetic"),
    "synthetic_crosses": Part(
        "The synthetic lake, with the planted crosses as features",
        "synthetic",
        ("features=conf/features/synthetic_crosses.yaml",),
    ),
}


def command(part: Part, out: Path, kuairand: Path | None) -> list[str]:
    """Return the command line of the jobs on the part's lake."""
    given = [] if part.config == "synthetic" else [f"input={kuairand}"]
    return ["--config", f"conf/{part.config}.yaml", f"out={out}", *given, *part.overrides]


def build(part: Part, out: Path, kuairand: Path | None) -> None:
    """Build the training table, and the lake where it is made, unless they are there."""
    if (out / "training/_delta_log").is_dir():
        return
    if part.config == "synthetic":
        _run([*shlex.split(job_line("make_lake")), "--config", "conf/lake/default.yaml", f"out={out}"])
    _run([*shlex.split(job_line("build_features")), *command(part, out, kuairand)])


def compare(part: Part, out: Path, kuairand: Path | None, seeds: int) -> str:
    """Return the part's tables, from `out` where an earlier run has left them."""
    table = out / "quality.md"
    if not table.is_file():
        options = ["--seeds", str(seeds), "--systems", *SYSTEMS, "--table", str(table)]
        _run([sys.executable, "-m", "bench.quality", *options, *command(part, out, kuairand)])
    return table.read_text(encoding="utf-8")


def _run(line: Sequence[str]) -> None:
    print(f"quality_page: {' '.join(line)}", file=sys.stderr, flush=True)
    subprocess.run(line, cwd=ROOT, check=True)


def main(argv: list[str]) -> None:
    """Make the parts that are asked for, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kuairand", type=Path, help="folder of the KuaiRand-Pure files")
    parser.add_argument("--out", type=Path, default=Path("out/quality"))
    parser.add_argument("--parts", nargs="+", choices=sorted(PARTS), default=list(PARTS))
    parser.add_argument("--seeds", type=positive, default=5)
    chosen = parser.parse_args(argv)
    if chosen.kuairand is None and any(PARTS[name].config == "kuairand" for name in chosen.parts):
        parser.error("give --kuairand FOLDER, or --parts synthetic synthetic_crosses")
    kept, mark, sections = PAGE.read_text(encoding="utf-8").partition(MARK)
    if not mark:
        parser.error(f"{PAGE} has no line {MARK.strip()}; put it before the tables")
    known = dict(section.split("\n", 1) for section in sections.split(HEAD)[1:])
    for name in (name for name in PARTS if name in chosen.parts):
        part, out = PARTS[name], chosen.out.resolve() / name
        build(part, out, chosen.kuairand)
        known[part.title] = compare(part, out, chosen.kuairand, chosen.seeds)
    made = (f"{HEAD}{part.title}\n{known[part.title]}" for part in PARTS.values() if part.title in known)
    PAGE.write_text(kept + MARK + "".join(made), encoding="utf-8")


if __name__ == "__main__":
    exit_with(main)
