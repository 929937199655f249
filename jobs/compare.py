"""Hold two models, days or predictors against each other, from what evaluations kept: nothing is scored again.

python jobs/compare.py --against a72f14598e63 out=out/mine                          another model, the same days
python jobs/compare.py --days 2026-03-11 --against-days 2026-03-10 out=out/mine     the same model, other days
python jobs/compare.py --against-predictor trees out=out/mine                       another predictor, the same rows

What is not said of the other side is as on this one. Sides of the same days are compared in pairs. Needs no Spark.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from camoe.config.command_line import given, given_days, load_config, next_line, parse, parser
from camoe.config.ending import exit_with
from camoe.contracts.shown.commands import job_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from camoe.metrics.comparison import Difference

KINDS = ("slot", "modality", "head", "all")


def main(argv: list[str]) -> None:
    """Compare the two sides and show the differences."""
    options = parser(__doc__ or "")
    options.add_argument("--model", help="version, bundle folder or newest (default: champion, else newest)")
    options.add_argument("--days", type=given_days, help="days that were evaluated (default: the test days)")
    options.add_argument("--predictor", default="model", help="one that was evaluated with it (default: model)")
    options.add_argument("--against", metavar="MODEL", help="the other model (default: the same)")
    options.add_argument("--against-days", type=given_days, metavar="DAYS", help="its days (default: the same)")
    options.add_argument("--against-predictor", metavar="NAME", help="its predictor (default: the same)")
    options.add_argument("--by", nargs="+", default=KINDS, metavar="KIND", help=f"groups (default: {' '.join(KINDS)})")
    chosen = parse(options, argv)
    from camoe.evaluation.sides import Side, compared
    from camoe.registry.named import named_model

    config = load_config(chosen)
    version, days = named_model(config.layout, chosen.model).version, chosen.days or config.days.test.days()
    other = named_model(config.layout, chosen.against).version if chosen.against else version
    ours = Side(version, days, chosen.predictor)
    theirs = Side(other, chosen.against_days or days, chosen.against_predictor or chosen.predictor)
    found = compared(config.layout.states, ours, theirs, config.evaluation, chosen.by)
    print(f"compare: {ours}, less {theirs}")
    _show(found)
    print(next_line(job_line("evaluate", given(chosen))))


def _show(found: Iterable[Difference]) -> None:
    from camoe.report import text

    for item in sorted(found, key=lambda item: (item.objective, item.group_kind, item.group)):
        if item.value is None:
            continue
        ends = f"[{item.interval.low:+.4f}, {item.interval.high:+.4f}]" if item.interval else text.DASH
        where = f"{item.objective}  {item.group_kind} {item.group}"
        print(f"{where:<40} {item.metric:<8} {item.value:+.4f} {ends:<20} {item.verdict}")


if __name__ == "__main__":
    exit_with(main)
