"""Raw lake -> checked, joined, encoded Delta training table, with a quarantine table and an encoder.

spark-submit --properties-file conf/spark/local.conf jobs/build_features.py out=out/mine input=/data/lake
"""

from __future__ import annotations

import time

from camoe.config import Config, given, load_config, parse, parser
from camoe.contracts import counts
from camoe.contracts.errors import exit_with
from features.build import JOB, Build, Built, build
from features.session import spark_session


def summary(built: Built, cfg: Config, command_line: str, seconds: float) -> str:
    """What the build did, in a few lines, and the command that comes next."""
    tally = built.tally
    lines = [
        f"read        {tally.read:>12,}",
        f"excluded    {sum(tally.excluded.values()):>12,}{_detail(tally.excluded)}",
        f"duplicates  {tally.duplicates:>12,}",
        f"quarantined {tally.rows_quarantined:>12,}{_detail(tally.quarantined)}",
        f"written     {built.training.rows:>12,}  on {len(tally.per_day())} days",
        "matched     " + ", ".join(f"{name} {share:.2%}" for name, share in built.matched.items()),
        f"table       {cfg.layout.training} version {built.training.version}, encoder version {built.encoder.version}",
        f"took        {seconds:.1f} s",
        f"next        python jobs/train.py {command_line}",
    ]
    return "\n".join(lines)


def _detail(parts: object) -> str:
    items = dict(parts).items() if isinstance(parts, dict) else ()
    text = ", ".join(f"{name} {rows:,}" for name, rows in items)
    return f"  ({text})" if text else ""


def main(argv: list[str]) -> None:
    """Build the features of the configured days."""
    started = time.monotonic()
    arguments = parser(__doc__ or "")
    arguments.add_argument("--replace", action="store_true", help="replace a training table that has other features")
    parsed = parse(arguments, argv)
    cfg = load_config(parsed)
    plan = Build(
        folder=cfg.raw,
        layout=cfg.layout,
        sources=cfg.sources,
        slots=cfg.slots,
        days=cfg.days,
        features=cfg.features,
        config_hash=cfg.content_hash(),
        rows_per_file=cfg.rows_per_file,
        replace=parsed.replace,
    )
    built = build(spark_session(JOB), plan)
    seconds = time.monotonic() - started
    counts.record(cfg.layout.counts, JOB, {**built.counts(), "seconds": round(seconds, 1)})
    print(summary(built, cfg, given(parsed), seconds), flush=True)


if __name__ == "__main__":
    exit_with(main)
