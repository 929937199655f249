"""Compare variants of a model on the same rows, by slot: every variant with every seed on every fold of days.

python jobs/study.py --study conf/studies/smoke.yaml out=out/smoke
python jobs/study.py --study conf/studies/core.yaml --jobs 2 out=out/core seeds=[1,2,3]

Each trial is a process of its own, and done when its manifest is there: the same command goes on after a stop, of
whatever kind. Tables that are not there are made first, in a local Spark. Written are results.md, results.json and a
picture for each pair of groups, and under trials/ each trial's model, log and states.
"""

from __future__ import annotations

import shlex
import time

from camoe.config.command_line import described, next_line, parse, positive
from camoe.config.ending import exit_with
from camoe.contracts.config_file import load
from camoe.contracts.shown.redaction import redacted_override
from camoe.report.text import span
from camoe.study.declared import Study


def main(argv: list[str]) -> None:
    """Do what is left of the study, and write what it says."""
    started = time.monotonic()
    options = described(__doc__ or "")
    options.add_argument("--study", required=True, help="the study's file, one of conf/studies")
    options.add_argument("--jobs", type=positive, default=1, help="trials at a time (default: 1)")
    options.add_argument("overrides", nargs="*", metavar="key=value", help="for example out=out/mine seeds=[1,2]")
    chosen = parse(options, argv)
    from camoe.study.check import require_sound
    from camoe.study.prepare import prepare
    from camoe.study.run import run_study
    from camoe.study.write import write_results

    study = load(chosen.study, Study, chosen.overrides)
    unfair = require_sound(study)
    print(*(f"study: not fair: {line}\n" for line in unfair), sep="", end="", flush=True)
    prepare(study)
    done = run_study(study, chosen.jobs)
    given = shlex.join(["--study", chosen.study, *map(redacted_override, chosen.overrides)])
    written, claims = write_results(done, f"python jobs/study.py {given}", unfair)
    for says, answer in claims.items():
        print(f"study: {says}: {answer}")
    if len(study.seeds) == 1:
        print("study: one seed: how much seeds differ is not known, so intervals are too narrow")
    print(f"study: {len(done.results)} trials, took {span(time.monotonic() - started)}")
    for path in written:
        print(f"study: written to {path}")
    print(next_line(f"read {study.out / 'results.md'}"))


if __name__ == "__main__":
    exit_with(main)
