"""Hold a market of ad requests under two models, and tell what a budget-split experiment would and should find.

python jobs/simulate.py --config conf/markets/default.yaml market=out/market experiment.treated=oracle
Before it: jobs/make_lake.py --config conf/lake/market.yaml (for a log: jobs/replay.py), the chain, and for each model
jobs/score.py --input.
Written: OUT/market.json and OUT/index.html. docs/market.md explains both.
"""

from __future__ import annotations

import time
from typing import Any

from camoe.config.command_line import described
from camoe.config.ending import exit_with
from camoe.contracts.config_file import load
from camoe.contracts.shown.commands import DEFAULT_MARKET
from camoe.market.config import SimulationConfig


def main(argv: list[str]) -> None:
    """Hold the market in each design, and write the page."""
    parser = described(__doc__ or "")
    parser.add_argument("--config", default=DEFAULT_MARKET, help=f"simulation (default: {DEFAULT_MARKET})")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="for example rules.charge=click")
    parsed = parser.parse_intermixed_args(argv)
    from camoe.bundle.published import fetched
    from camoe.market.experiment.document import document, power
    from camoe.market.experiment.run import control_alone, run
    from camoe.market.experiment.tables import read_market
    from camoe.report.market_page import write_market_report

    config = load(parsed.config, SimulationConfig, parsed.overrides)
    started = time.monotonic()
    stands = config.outcomes
    if stands is not None:
        stands = stands.model_copy(update={"bundle": fetched(stands.bundle)})
    market, days = read_market(config.market, config.models, config.rules, stands, config.versions)
    control = control_alone(market, config.experiment)
    print(foreseen(power(market, control.users, config.experiment, days), config.experiment.wanted), flush=True)
    found = document(market, run(market, config.experiment, control), config.experiment, days)
    page = write_market_report(found, config.out)
    print(summary(found))
    print(f"simulate: {found['run']['requests']:,} requests in {time.monotonic() - started:.1f} s; report: {page}")


def foreseen(rows: list[dict[str, Any]], wanted: float) -> str:
    """Return what the experiment will see at its size, and what it takes to see a change of the CTR that is wanted."""
    lines = ["simulate: power, from control's market alone"]
    for row in rows:
        for clicks in ("drawn", "expected"):
            seen = row[clicks]
            told = f"  {row['queue']:6} by {clicks} clicks: a change of the CTR of {_percent(seen['smallest'])} is seen"
            if seen["times"] is not None:
                told += f"; {_percent(wanted)} takes {seen['weeks']:.1f} weeks, or {seen['times']:.1f} times the users"
            lines.append(told)
    return "\n".join(lines)


def summary(found: dict[str, Any]) -> str:
    """Return the table of the result."""
    run_ = found["run"]
    lines = [f"simulate: {run_['treated']} against {run_['control']}, charged per {run_['charge']}, budgets split"]
    for row in found["result"]:
        if row["outcome"] == "expected":
            ends = " to ".join(map(_percent, row["interval"])) if row["interval"] else "undefined"
            p = "none" if row["p_holm"] is None else f"{row['p_holm']:.4f}"
            told = f"{_percent(row['change'])} ({ends}), p {p}, truth {_percent(row['truth'])}"
            lines.append(f"  {row['queue']:6} {row['rate']:5} {told}")
    return "\n".join(lines)


def _percent(value: float | None) -> str:
    return "none" if value is None else f"{100 * value:+.2f} %"


if __name__ == "__main__":
    exit_with(main)
