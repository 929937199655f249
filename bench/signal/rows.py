"""The test impressions of a synthetic lake: what a model says of them, and what the lake's effects add to the truth."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from bench.signal.learned import Codes, Floats, Term
from camoe.config.pipeline import Config
from camoe.contracts.days import day_list
from camoe.contracts.errors import InputError
from features.synthetic.config import LakeConfig
from features.synthetic.lake import MANIFEST, scored_impressions
from features.synthetic.response import effect_terms, own_column, true_probability, with_probabilities

KEY = "impression_id"
# What an objective has for itself, beside the score that all share.
OWN = "own"


@dataclass(frozen=True)
class Impressions:
    """Impressions of one modality, `[N]` each: the model's and the true probability, the effects' terms by name."""

    p: Floats
    truth: Floats
    terms: dict[str, Term]
    slot: Codes
    user: Codes


def read_impressions(spark: SparkSession, config: Config, objective: str, version: str) -> dict[str, Impressions]:
    """Return the impressions of the test days that model `version` has scored for `objective`, by modality.

    The lake is made again from the configuration in its manifest, as its effects are in none of its tables.

    Raises:
        InputError: there is no synthetic lake, it has no such objective, or nothing of it was scored.
    """
    manifest = Path(config.raw) / MANIFEST
    if not manifest.is_file():
        raise InputError(f"no synthetic lake at {config.raw}: {MANIFEST} is not there; run jobs/make_lake.py")
    told = json.loads(manifest.read_text(encoding="utf-8"))
    lake = LakeConfig.model_validate(told["config"])
    if objective not in lake.signal.objectives:
        raise InputError(f"the lake at {config.raw} has no objective {objective}: {', '.join(lake.signal.objectives)}")
    scored = _predictions(config, objective, version)
    rows = _causes(spark, lake, told["intercepts"], objective).merge(scored, on=KEY, validate="one_to_one")
    if len(rows) < len(scored):
        raise InputError(f"{len(scored) - len(rows):,} predictions are of no impression of the lake at {config.raw}")
    loading = lake.signal.objectives[objective].loading
    return {str(modality): _of_modality(part, lake, loading) for modality, part in rows.groupby("modality", sort=True)}


def _predictions(config: Config, objective: str, version: str) -> pd.DataFrame:
    days, table = config.days.test.days(), config.layout.predictions.resolve()
    wanted, parts = {day.isoformat() for day in days}, []
    for file in pa.table(DeltaTable(str(table)).get_add_actions(flatten=True)).to_pylist():
        if str(file["partition.date"]) in wanted and file["partition.model_version"] == version:
            parts.append(pq.ParquetFile(table / unquote(file["path"])).read([KEY, "objective", "p"]).to_pandas())
    rows = pd.concat(parts) if parts else pd.DataFrame({KEY: [], "objective": [], "p": []})
    rows = rows[rows["objective"] == objective]
    if rows.empty:
        raise InputError(f"model {version} has scored no {objective} on {day_list(days)}; run jobs/score.py")
    return rows[[KEY, "p"]].assign(**{KEY: rows[KEY].astype(str)})


def _causes(spark: SparkSession, lake: LakeConfig, shifts: dict[str, dict[str, float]], objective: str) -> pd.DataFrame:
    """Return of every impression its truth, the terms of the effects, and the columns that crosses are over."""
    shown = with_probabilities(scored_impressions(spark, lake, spark.sparkContext.defaultParallelism), lake, shifts)
    terms = effect_terms(lake) | {OWN: F.col(own_column(objective))}
    crosses = [by for by in (lake.signal.own_effect_by, *(effect.by for effect in lake.signal.effects)) if len(by) > 1]
    crossed = sorted({column for by in crosses for column in by})
    kept = dict.fromkeys((KEY, "user_id", "slot", "modality", *crossed))
    made = shown.select(
        *kept,
        true_probability(objective, lake).alias("truth"),
        *[column.alias(f"term:{name}") for name, column in terms.items()],
    )
    return made.withColumn(KEY, F.col(KEY).cast("string")).toPandas()


def _of_modality(rows: pd.DataFrame, lake: LakeConfig, loading: float) -> Impressions:
    def codes(column: str) -> Codes:
        return pd.factorize(rows[column])[0].astype(np.int64)

    terms = {}
    columns = {effect.name: effect.by for effect in lake.signal.effects} | {OWN: lake.signal.own_effect_by}
    for name, by in columns.items():
        value = rows[f"term:{name}"].to_numpy(np.float64) * (1.0 if name == OWN else loading)
        if value.std() > 0:
            terms[name] = Term(value, tuple(map(codes, by)) if len(by) > 1 else ())
    p, truth = (rows[name].to_numpy(np.float64) for name in ("p", "truth"))
    return Impressions(p, truth, terms, codes("slot"), codes("user_id"))
