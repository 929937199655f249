"""The outcome log and the truth behind it."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from features.synthetic.clock import later
from features.synthetic.config import Delay, LakeConfig
from features.synthetic.draws import Draws, exponential
from features.synthetic.response import probability_column, true_probability

COLUMNS = ("impression_id", "objective", "ts", "available_at", "value")
OUTCOME = 1
# The last bits of an exponential are the processor's own.
DECIMALS = 12


def truth(shown: DataFrame, config: LakeConfig) -> DataFrame:
    """Return one row an (impression_id, objective) with the true probability `p`."""
    entries = [
        F.struct(F.lit(name).alias("objective"), F.round(true_probability(name, config), DECIMALS).alias("p"))
        for name in config.signal.objectives
    ]
    return shown.select("impression_id", F.explode(F.array(*entries)).alias("_entry")).select(
        "impression_id", "_entry.objective", "_entry.p"
    )


def outcome_log(shown: DataFrame, config: LakeConfig) -> DataFrame:
    """Return one row an outcome that happened: impression_id, objective, ts, available_at, value (1)."""
    entries = [
        F.when(
            _happened(name, config),
            F.struct(
                F.lit(name).alias("objective"),
                _delay(config, f"happens:{name}", objective.happens).alias("after"),
                _delay(config, f"reported:{name}", objective.reported).alias("lag"),
            ),
        )
        for name, objective in config.signal.objectives.items()
    ]
    happened = F.array_compact(F.array(*entries))
    outcomes = shown.select("impression_id", "ts", F.explode(happened).alias("_outcome"))
    at = later(F.col("ts"), F.col("_outcome.after"))
    return outcomes.select(
        "impression_id",
        "_outcome.objective",
        at.alias("ts"),
        later(at, F.col("_outcome.lag")).alias("available_at"),
        F.lit(OUTCOME).alias("value"),
    )


def _happened(objective: str, config: LakeConfig) -> Column:
    draw = Draws(config.seed).uniform(f"outcome:{objective}", "impression_id")
    own = draw < F.col(probability_column(objective))
    required = config.signal.objectives[objective].requires
    return own if required is None else own & _happened(required, config)


def _delay(config: LakeConfig, purpose: str, delay: Delay) -> Column:
    drawn = exponential(Draws(config.seed).uniform(purpose, "impression_id"), delay.mean_s)
    return F.least(drawn, F.lit(delay.max_s))
