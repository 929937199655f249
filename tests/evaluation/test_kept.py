"""The states that Spark keeps are those of the rows, and are read and compared without Spark."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F

from camoe.contracts.errors import InputError
from camoe.evaluation.cells import state_rows
from camoe.evaluation.keep import keep_states
from camoe.evaluation.kept import read_states
from camoe.evaluation.sides import Side, compared
from camoe.evaluation.spark_figures import kinds_not_kept
from camoe.metrics.calibration import normalised_entropy
from camoe.metrics.comparison import compare_states
from camoe.metrics.config import EvaluationConfig, FieldConfig
from camoe.metrics.histogram import Histogram, MetricError
from camoe.metrics.state import State
from camoe.metrics.table import ALL, StateKey
from camoe.metrics.user_buckets import user_buckets

pytestmark = [pytest.mark.spark, pytest.mark.usefixtures("spark")]

DAYS = (date(2026, 3, 5), date(2026, 3, 6))
FIELDS = (FieldConfig(name="campaign_id"), FieldConfig(name="country", histograms=True))
SETTINGS = EvaluationConfig(user_buckets=5, field_buckets=3, bootstrap=40, fields=FIELDS)
ROWS = 2_000
PREDICTORS = {"model": "p1", "truth": "p2"}


@pytest.fixture(scope="module")
def rows():
    """Two days of two slots and three heads, two predictors with extreme values, some labels and countries unknown."""
    rng = np.random.default_rng(3)
    p = rng.beta(0.5, 8, (ROWS, 2))
    for special in (0.0, 1.0, 1e-12, 0.5):
        p[rng.random(p.shape) < 0.02] = special
    number = np.arange(ROWS)
    return pd.DataFrame(
        {
            "objective": "click",
            "date": [DAYS[int(row % 3 == 0)] for row in number],
            "user_id": [f"u{user}" for user in rng.integers(0, 50, ROWS)],
            "modality": np.where(number % 2 == 0, "audio", "video"),
            "slot": np.where(number % 2 == 0, "s1", "s2"),
            "head": rng.choice(["h1", "h2", "h3"], ROWS),
            "campaign_id": [f"c{campaign}" for campaign in rng.integers(0, 9, ROWS)],
            "country": rng.choice(["se", "no", None], ROWS),
            "label": rng.choice([0.0, 1.0, np.nan], ROWS),
            "p1": p[:, 0],
            "p2": p[:, 1],
        }
    )


@pytest.fixture(scope="module")
def path(spark, rows, tmp_path_factory):
    """A table with the states of the rows, and those of a second model of one day, whose probabilities are halved."""
    path = tmp_path_factory.mktemp("kept") / "states"
    frame = spark.createDataFrame(rows.astype(object).where(rows.notna(), None)).repartition(3)
    keep_states(state_rows(frame, PREDICTORS, SETTINGS), path, DAYS, "m1", 4)
    worse = frame.withColumn("p1", F.col("p1") / 2).where(F.col("date") == DAYS[0])
    keep_states(state_rows(worse, PREDICTORS, SETTINGS), path, DAYS[:1], "m2", 4)
    return path


def direct(rows, column):
    known = rows["label"].to_numpy(dtype=float)
    bucket = user_buckets(rows["user_id"], SETTINGS.user_buckets)
    return State.of(Histogram.from_rows(rows[column], known, bucket, SETTINGS.user_buckets))


def assert_same(left, right):
    for name in ("bucket", "bin", "count", "positives"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))
    np.testing.assert_allclose(left.p_sum, right.p_sum, rtol=1e-9)
    np.testing.assert_allclose(left.log_loss, right.log_loss, rtol=1e-9)
    assert (left.buckets, left.unknown) == (right.buckets, right.unknown)


def test_each_group_has_the_state_that_its_rows_have(path, rows):
    found = read_states(path, "m1", DAYS)
    groups = {(ALL, ALL): rows, ("country", "(none)"): rows[rows["country"].isna()]}
    for kind in ("slot", "modality", "head", "country"):
        groups |= {(kind, value): own for value, own in rows.groupby(kind)}
    binned = {key: state for key, state in found.items() if key.group_kind != "campaign_id"}
    assert len(binned) == 2 * len(groups)
    for (kind, group), own in groups.items():
        for predictor, column in PREDICTORS.items():
            expected, state = direct(own, column), binned[StateKey("click", kind, group, predictor)]
            assert_same(state.bins, expected.bins)
            assert_same(state.users, expected.users)


def test_of_a_field_without_histograms_sums_of_the_model_are_kept(path, rows):
    found = {key: state for key, state in read_states(path, "m1", DAYS).items() if key.group_kind == "campaign_id"}
    assert {key.predictor for key in found} == {"model"}
    assert len(found) == rows["campaign_id"].nunique()
    for key, state in found.items():
        own = rows[rows["campaign_id"] == key.group]
        known = own[own["label"].notna()]
        assert (state.bins, state.users.buckets) == (None, SETTINGS.field_buckets)
        assert (state.users.rows, state.users.clicks, state.users.unknown) == (
            len(known),
            known["label"].sum(),
            len(own) - len(known),
        )
        assert state.users.p_sum.sum() == pytest.approx(known["p1"].sum())


def test_days_are_read_apart_and_what_is_not_kept_is_named(path, rows):
    one = read_states(path, "m1", DAYS[:1])[StateKey("click", ALL, ALL, "model")]
    assert one.whole.rows == rows[rows["date"] == DAYS[0]]["label"].notna().sum()
    with pytest.raises(InputError, match=r"no states of model m2 on 2026-03-06 \(models there: m1, m2\); score"):
        read_states(path, "m2", DAYS)
    with pytest.raises(InputError, match="models there: none"):
        read_states(path.parent / "elsewhere", "m1", DAYS)


def test_models_are_compared_from_what_is_kept(path):
    ours, theirs = (read_states(path, model, DAYS[:1]) for model in ("m1", "m2"))
    found = compare_states(ours, theirs, "m2", SETTINGS)
    told = {(item.predictor, item.group_kind, item.metric): item for item in found}
    assert told["model", ALL, "pcoc"].value < 0
    assert told["model", ALL, "pcoc"].verdict == "better"
    assert {told["truth", ALL, metric].value for metric in ("auc_pr", "ne", "ece", "pcoc")} == {0.0}
    assert told["model", "campaign_id", "auc_pr"].value is None
    assert told["model", "campaign_id", "ne"].p is not None


def test_days_of_a_model_and_predictors_of_it_are_compared_from_what_is_kept(path, rows):
    days = [Side("m1", DAYS[:1]), Side("m1", DAYS[1:])]
    found = {(one.group_kind, one.group, one.metric): one for one in compared(path, *days, SETTINGS, ("all", "slot"))}
    assert {kind for kind, _, _ in found} == {"all", "slot"}
    own = [direct(rows[rows["date"] == day], "p1").whole.bins() for day in DAYS]
    ne = [float(normalised_entropy(one)) for one in own]
    told = found["all", "all", "ne"]
    assert told.value == pytest.approx(ne[0] - ne[1])
    assert told.interval.low < told.value < told.interval.high
    back = {(one.group, one.metric): one for one in compared(path, *reversed(days), SETTINGS, ("all",))}
    assert back["all", "ne"].value == pytest.approx(-told.value)
    truth = compared(path, Side("m1", DAYS), Side("m1", DAYS, "truth"), SETTINGS, ("all",))
    expected = [float(normalised_entropy(direct(rows, column).whole.bins())) for column in ("p1", "p2")]
    assert {one.metric: one.value for one in truth}["ne"] == pytest.approx(expected[0] - expected[1])


@pytest.mark.parametrize(
    ("other", "kind", "message"),
    [
        (Side("m1", DAYS), InputError, r"both sides are m1 model on 2026-03-05\.\.2026-03-06; name another"),
        (
            Side("m1", DAYS, "trees"),
            InputError,
            r"no predictor 'trees' was evaluated with model m1 \(there are: model, truth",
        ),
        (Side("m2", DAYS), InputError, "no states of model m2 on 2026-03-06"),
    ],
)
def test_sides_that_cannot_be_compared_are_refused(path, other, kind, message):
    with pytest.raises(kind, match=message):
        compared(path, Side("m1", DAYS), other, SETTINGS, ("all",))


def test_days_kept_in_other_buckets_of_users_are_not_compared():
    one, other = ({StateKey("click", ALL, ALL, "model"): State.empty(buckets)} for buckets in (5, 6))
    with pytest.raises(
        MetricError, match="all all: kept in other buckets of users than m1 on 2026-03-05; evaluate anew"
    ):
        compare_states(one, other, "m1 on 2026-03-05", SETTINGS, same=False)


def test_kinds_that_another_model_lacks_or_kept_otherwise_are_told(spark):
    kept = {
        "m1": {("all", 100), ("slot", 100), ("country", 100), ("device", 100), ("campaign_id", 20)},
        "m2": {("all", 50), ("slot", 100), ("campaign_id", 20), ("device", 20), ("old", 20)},
    }
    rows = [(model, kind, day, buckets, "model") for model, of in kept.items() for kind, buckets in of for day in DAYS]
    # Of one of the days alone.
    rows.append(("m2", "country", DAYS[0], 100, "model"))
    states = spark.createDataFrame(
        rows, "model_version string, group_kind string, date date, buckets int, predictor string"
    )
    assert kinds_not_kept(states, "m1", ["m2", "m1"]) == {"m2": ("country", "device"), "m1": ()}
    assert kinds_not_kept(states, "m1", []) == {}


def test_a_second_evaluation_of_a_day_replaces_the_first(spark, path, rows):
    before = read_states(path, "m1", DAYS)
    frame = spark.createDataFrame(rows.astype(object).where(rows.notna(), None)).where(F.col("date") == DAYS[1])
    keep_states(state_rows(frame, PREDICTORS, SETTINGS), path, DAYS[1:], "m1", 4)
    after = read_states(path, "m1", DAYS)
    assert after.keys() == before.keys()
    assert all(after[key].whole.rows == before[key].whole.rows for key in before)
