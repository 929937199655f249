"""The signal: intercepts hit their rates, and modalities respond differently unless the control says alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import functions as F

from camoe.contracts.errors import ConfigError
from features.synthetic.config import LakeConfig
from features.synthetic.response import SCORE, solve, with_score
from tests.features.synthetic.lakes import config

AUDIO, VIDEO = "stream_audio", "stream_video"


@given(st.lists(st.floats(-4, 4), min_size=1, max_size=50), st.floats(0.001, 0.999))
def test_the_solved_intercept_hits_its_rate(logits, rate):
    values, weights = np.array(logits), np.linspace(0.1, 1, len(logits))
    shifted = 1 / (1 + np.exp(-(values + solve(values, weights, rate))))
    assert np.average(shifted, weights=weights) == pytest.approx(rate, rel=1e-6)


def scores(spark, lake: LakeConfig) -> dict[str, list[float]]:
    """Scores of the same 300 states, shown in an audio and in a video slot."""
    population, traffic = lake.population, lake.traffic
    values = {
        "age_band": population.age_bands,
        "vertical": population.verticals,
        "genre": population.genres,
        "device": traffic.devices["in"],
        "creative": population.creatives,
        "connection": traffic.connections,
    }
    frame = spark.range(300).withColumns(
        {
            name: F.element_at(
                F.array(*map(F.lit, weights)), F.pmod(F.xxhash64("id", F.lit(name)), len(weights)).cast("int") + 1
            )
            for name, weights in values.items()
        }
    )
    numbers = {"tenure_days": F.col("id") * 7, "listening_hours": F.col("id") / 10, "pod_position": F.col("id") % 3 + 1}
    state = frame.withColumns(
        {
            **numbers,
            "ts": F.timestamp_seconds(F.lit(1_772_500_000) + F.col("id") * 3000),
            "user_id": F.col("id"),
            "campaign_id": F.col("id"),
            "rest_s": F.col("id") * 10.0,
        }
    )
    shown = {slot: with_score(state.withColumn("slot", F.lit(slot)), lake) for slot in (AUDIO, VIDEO)}
    return {slot: [row[SCORE] for row in frame.orderBy("id").select(SCORE).collect()] for slot, frame in shown.items()}


@pytest.mark.spark
def test_the_control_responds_alike_and_the_default_does_not(spark):
    control = scores(spark, config("control"))
    assert control[AUDIO] == control[VIDEO]
    assert np.std(control[AUDIO]) > 0.5
    default = scores(spark, config("default"))
    assert default[AUDIO] == pytest.approx(control[AUDIO])
    assert np.corrcoef(default[AUDIO], default[VIDEO])[0, 1] < 0.5


@pytest.mark.spark
def test_an_effect_of_an_unknown_column_is_refused(spark):
    odd = config("default", "signal.effects=[{by: [shoe_size], strength: 1}]")
    with pytest.raises(ConfigError, match="shoe_size"):
        scores(spark, odd)


def test_the_control_is_the_default_but_for_the_divergence():
    default, control = config("default"), config("control")
    assert control.model_copy(update={"divergence": default.divergence}).identity() == default.identity()
