"""Heads that select by a column of the row: each learns from its rows and scores them, and no others."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch

import camoe
from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.contracts.encoder import FIRST
from camoe.contracts.errors import ConfigError
from camoe.model.loss import masking_of, targets
from camoe.score.local import score_snapshot
from tests.score.pipeline import BY_GENRE, DAYS, write_scorable
from tests.score.rows import by_impression, encoded_rows
from tests.train.pipeline import CONFIG, VALUES, write_pipeline


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    return write_scorable(tmp_path_factory.mktemp("scorable"), heads=BY_GENRE)


def named(rows):
    """Whether the row has one of the values that the first head names."""
    return np.isin(rows["cat_genre"].to_numpy(), [FIRST + VALUES.index(value) for value in ("b", "d")])


def test_each_row_is_scored_by_the_head_of_its_value(pipeline):
    predictor = camoe.load(pipeline.bundle)
    rows = encoded_rows(pipeline.snapshot)
    direct = predictor.predict(rows)
    assert direct["head"].to_pylist() == np.where(named(rows), "audio", "video").tolist()
    assert set(direct["head"].to_pylist()) == {"audio", "video"}
    local = pa.concat_tables(score_snapshot(predictor.model, pipeline.snapshot, DAYS))
    mine, theirs = by_impression(local), by_impression(direct)
    assert mine["head"].tolist() == theirs["head"].tolist()
    np.testing.assert_allclose(mine["p"], theirs["p"], atol=1e-6)


def test_a_head_learns_from_its_rows_only(pipeline):
    spec, rows = camoe.load(pipeline.bundle).model.spec, encoded_rows(pipeline.snapshot)
    categorical = torch.tensor(rows["cat_genre"].to_pylist()).unsqueeze(1)
    slot, labels = torch.zeros(len(categorical), dtype=torch.int64), torch.ones(len(categorical), 1)
    masking = masking_of(spec, adaptive=True)
    _, mask = targets(masking, labels, masking.cells(slot, categorical))
    own = torch.from_numpy(named(rows))
    assert torch.equal(mask, torch.stack([own, ~own], dim=1))
    everything = masking_of(spec, adaptive=False)
    assert targets(everything, labels, everything.cells(slot, categorical))[1].all()


def test_a_value_that_the_vocabulary_lacks_is_named(tmp_path):
    heads = {
        "column": "genre",
        "heads": [{**BY_GENRE["heads"][0], "where": {"genre": ["polka"]}}, BY_GENRE["heads"][1]],
    }
    with pytest.raises(ConfigError, match="a head selects genre 'polka', which the training days have too rarely"):
        write_scorable(tmp_path, heads=heads)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"heads": {**BY_GENRE, "column": "tenure"}}, "no head's 'where' names values of the column 'tenure'"),
        ({"features": {"numeric": CONFIG["features"]["numeric"]}}, "heads.column 'genre' is no categorical feature"),
        ({"training": {"normalise": "expected"}}, "training.normalise=expected counts rows by slot"),
        (
            {"slots": {"slots": [{"id": "s", "name": "S", "modality": "audio", "attributes": {"genre": "b"}}]}},
            "heads.column 'genre' is also an attribute of slots",
        ),
    ],
)
def test_a_column_that_cannot_be_selected_by_is_refused(tmp_path, sections, message):
    with pytest.raises(ConfigError, match=message):
        load(write_pipeline(tmp_path, {}, **{"heads": BY_GENRE, **sections}), Config)
