"""A run that starts from an older bundle begins with its predictions, also for a vocabulary that has grown."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from camoe.bundle.write import Origin, write_bundle
from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.contracts.encoder import FIRST, Encoder
from camoe.contracts.errors import TrainingError
from camoe.contracts.snapshot import Snapshot
from camoe.metrics.platt import Platt
from camoe.model.camoe import Camoe
from camoe.model.layers.scaling import Moments
from camoe.train.checkpoint.warm_start import grown, warm_start
from camoe.train.spec import model_spec
from tests.score.pipeline import METRICS
from tests.train.pipeline import CONFIG, LONGEST, sequence_features

OLD, NEW = Encoder(1, {"genre": ("a", "b", "c")}), Encoder(2, {"genre": ("a", "b", "c", "d", "e")})

NUMERIC = [
    {"name": "tenure", "sql": "tenure", "transform": "log1p"},
    {"name": "age", "sql": "age", "missing_indicator": False},
]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "pipeline.yaml"
    features = {**sequence_features(), "numeric": NUMERIC}
    path.write_text(yaml.safe_dump({**CONFIG, "features": features, "out": str(path.parent)}))
    return load(path, Config, ["training.dtype=float32"])


def fresh(config, encoder, seed):
    torch.manual_seed(seed)
    spec = model_spec(config.model, config.features, config.heads, config.slots, encoder)
    return Camoe(spec, [Moments(float(seed), 1.0 + seed)] * len(spec.features.numeric)).eval(), spec


@pytest.fixture(scope="module")
def bundle(config):
    """An older model, and its bundle."""
    model, spec = fresh(config, OLD, 1)
    origin = Origin(Snapshot("/t", 3, (), {}, ()), OLD, config)
    calibration = {head.name: Platt(rows=1, positives=0, reason="few") for head in config.heads.heads}
    write_bundle(config.layout.bundle, model, spec, origin, METRICS, calibration=calibration, keep=1)
    return model, config.layout.bundle


def scored(model, indices):
    """The model's logits where a value is the row's own genre, and all that its sequence holds."""
    categorical = torch.tensor(indices, dtype=torch.int32).unsqueeze(1)
    numeric = torch.linspace(-3, 90, 2 * len(indices)).reshape(-1, 2)
    sequences = torch.zeros(len(indices), 1 + LONGEST, dtype=torch.int32)
    sequences[:, 0], sequences[:, 1] = 1, categorical[:, 0]
    with torch.inference_mode():
        return model(categorical, numeric, sequences)[0]


def test_known_values_keep_their_predictions_and_new_ones_start_afresh(config, bundle):
    old, path = bundle
    model, spec = fresh(config, NEW, 2)
    before = model.embedding.table.weight.detach().clone()
    warm_start(model, spec, NEW, path)
    known = list(range(FIRST + 3))
    assert torch.equal(scored(model, known), scored(old, known))
    assert torch.equal(model.embedding.table.weight[FIRST + 3 :], before[FIRST + 3 :])


def test_a_vocabulary_that_was_renumbered_is_refused(config, bundle):
    other = Encoder(2, {"genre": ("b", "a", "c", "d")})
    model, spec = fresh(config, other, 2)
    with pytest.raises(TrainingError, match=r"the vocabularies of .* are not continued by encoder version 2"):
        warm_start(model, spec, other, bundle[1])


@pytest.mark.parametrize("other", [{"objective": "like"}, {"where": {"slot": ("s0",)}}, {"name": "sound"}])
def test_heads_that_learn_something_else_are_refused(config, bundle, other):
    first, *rest = config.heads.heads
    heads = config.heads.model_copy(update={"heads": (first.model_copy(update=other), *rest)})
    model, spec = fresh(config, NEW, 2)
    with pytest.raises(TrainingError, match=r"has other heads than this run: \{'audio': \"click where .* there, "):
        warm_start(model, spec.model_copy(update={"heads": heads}), NEW, bundle[1])


def test_heads_in_another_order_are_refused(config, bundle):
    """Weights are found by a head's place: audio would start as video."""
    heads = config.heads.model_copy(update={"heads": config.heads.heads[::-1]})
    model, spec = fresh(config.model_copy(update={"heads": heads}), NEW, 2)
    with pytest.raises(TrainingError, match="in another order: audio, video there, video, audio here; list them as"):
        warm_start(model, spec, NEW, bundle[1])


def test_other_treatments_are_refused_by_the_features_names(config, bundle):
    """Mean and deviation come from the bundle: those of logarithms would scale raw values. No shape would differ."""
    tenure, age = config.features.numeric
    others = tenure.model_copy(update={"transform": "identity"}), age
    swapped = tenure.model_copy(update={"missing_indicator": False}), age.model_copy(update={"missing_indicator": True})
    summed = config.features.sequence[0].model_copy(update={"pooling": "sum"})
    for changes, message in (
        ({"numeric": others}, "the transform of tenure is log1p there and identity here; treat them as there, or"),
        (
            {"numeric": swapped, "sequence": (summed,)},
            "the missing_indicator of tenure is True there and False here; the missing_indicator of age is False there "
            "and True here; the pooling of recent is mean there and sum here; treat them as there, or",
        ),
    ):
        features = config.features.model_copy(update=changes)
        model, spec = fresh(config.model_copy(update={"features": features}), NEW, 2)
        with pytest.raises(TrainingError, match=message):
            warm_start(model, spec, NEW, bundle[1])


def test_other_widths_are_refused_by_name(config, bundle):
    wide = config.model_copy(update={"model": config.model.model_copy(update={"tower_hidden": (5,)})})
    model, spec = fresh(wide, NEW, 2)
    with pytest.raises(TrainingError, match=r"has shape \(.*\) there and \(.*\) here"):
        warm_start(model, spec, NEW, bundle[1])


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3)), min_size=1, max_size=4))
def test_every_row_of_every_column_keeps_its_place(columns):
    """Against one table a column."""
    old_sizes = tuple(size for size, _ in columns)
    sizes = tuple(size + more for size, more in columns)
    table, start = (
        torch.arange(sum(old_sizes)).float().unsqueeze(1),
        -torch.arange(1, sum(sizes) + 1).float().unsqueeze(1),
    )
    by_column = zip(torch.split(table, old_sizes), torch.split(start, sizes), strict=True)
    wanted = torch.cat([torch.cat([old, new[len(old) :]]) for old, new in by_column])
    np.testing.assert_array_equal(grown(start.clone(), sizes, table, old_sizes), wanted)
