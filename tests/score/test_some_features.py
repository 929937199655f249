"""A model that leaves out some of its table's features is trained on, and scores, the rows of the table as they are."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import camoe
from camoe.contracts.errors import BundleError, TrainingError
from camoe.contracts.features import FeatureSet
from camoe.contracts.schema import FEATURE_SCHEMA_PROPERTY
from camoe.score.local import score_snapshot
from camoe.score.scorer import own_features, require_features
from camoe.train.loop.teacher import _require_same_inputs
from tests.score.pipeline import DAYS, write_scorable
from tests.score.rows import by_impression, encoded_rows
from tests.train.fitting import first_block, fresh_learner
from tests.train.pipeline import CONFIG

FEATURES = {**CONFIG["features"], "numeric": [*CONFIG["features"]["numeric"], {"name": "more", "sql": "more"}]}
WITHOUT = {**CONFIG["training"], "without": ["more"]}
LEFT_OUT = "num_more"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    return write_scorable(tmp_path_factory.mktemp("scorable"), features=FEATURES, training=WITHOUT)


def test_the_tables_rows_are_scored_without_what_is_left_out(pipeline):
    predictor, rows = camoe.load(pipeline.bundle), encoded_rows(pipeline.snapshot)
    assert LEFT_OUT in rows.column_names
    direct = predictor.predict(rows)
    assert predictor.predict(rows.drop_columns([LEFT_OUT])).equals(direct)
    local = pa.concat_tables(score_snapshot(predictor.model, pipeline.snapshot, DAYS))
    np.testing.assert_allclose(by_impression(local)["p"], by_impression(direct)["p"], atol=1e-6)
    raw = pa.table({"slot": ["s0"], "genre": ["a"], "tenure": [1.0]})
    assert LEFT_OUT not in predictor.encode(raw).column_names


def test_the_bundle_says_what_is_left_out_and_belongs_to_its_table(pipeline):
    model = camoe.load(pipeline.bundle).model
    assert model.spec.features.without == ("more",)
    assert model.manifest.feature_schema_hash == pipeline.snapshot.properties[FEATURE_SCHEMA_PROPERTY]
    assert "- Left out of the table's features: more" in (pipeline.bundle / "card.md").read_text()
    assert own_features(model) == pipeline.config.features
    require_features(model, pipeline.config.features, "the configuration")
    others = FeatureSet.model_validate({**FEATURES, "numeric": [{"name": "tenure", "sql": "2 * tenure"}]})
    with pytest.raises(BundleError, match=r"other features than the configuration has \(tenure\)"):
        require_features(model, others, "the configuration")


def test_a_model_learns_without_it(pipeline):
    train_step, data = fresh_learner(pipeline.config)
    assert LEFT_OUT not in data.columns.names
    assert train_step.step(first_block(pipeline.config, data)).loss > 0


def test_a_teacher_that_reads_more_is_refused(pipeline):
    spec = camoe.load(pipeline.bundle).model.spec
    more = spec.model_copy(update={"features": spec.features.model_copy(update={"without": ()})})
    with pytest.raises(TrainingError, match="reads other features than this run"):
        _require_same_inputs(pipeline.bundle, more, spec)
    _require_same_inputs(pipeline.bundle, spec, spec)
