"""What is cut from a model: what stays gives the same predictions where what went said nothing."""

from __future__ import annotations

import pytest
import torch

from camoe.bundle.manifest import TABLE
from camoe.bundle.model import module_of
from camoe.compress.columns import without_columns
from camoe.compress.cut import cut
from camoe.compress.experts import chosen, without_experts
from camoe.compress.rows import without_rows
from camoe.compress.usage import Usage
from camoe.config.compress import CompressConfig
from camoe.contracts.encoder import UNKNOWN
from camoe.contracts.errors import ConfigError
from camoe.contracts.features import FeatureSet
from camoe.contracts.sequences import SequenceFeature
from camoe.model.camoe import Camoe
from camoe.model.ensemble import keep_experts
from tests.model.specs import FEATURES, KINDS, MOMENTS, SPEC, config_of

CONTRIBUTION = torch.tensor([[0.3, 0.05, 0.6, 0.05], [0.1, 0.7, 0.0, 0.2]])
ALL = (range(4), range(4))
ALIKE = torch.eye(4)
NEAR = torch.eye(4).index_put((torch.tensor([0, 2]), torch.tensor([2, 0])), torch.tensor(0.95))
WITH_SEQUENCES = FEATURES.model_copy(
    update={
        "sequence": (
            SequenceFeature(name="seen", sql="x", vocabulary="x", max_length=3, pooling="attention"),
            SequenceFeature(name="lately", sql="y", vocabulary="y", max_length=2),
        )
    }
)


def made(kind="camoe", features: FeatureSet = FEATURES):
    torch.manual_seed(3)
    gates = {"gate_scale": 3.0} if "experts" in KINDS[kind] else {}
    config = config_of(kind, embedding_dim=4, embedding_scale=1.0, **gates)
    spec = SPEC.model_copy(update={"model": config, "features": features})
    return Camoe(spec, MOMENTS).eval(), spec


def inputs(rows=60, sequences=False):
    random = torch.Generator().manual_seed(1)
    categorical = torch.stack([torch.randint(0, size, (rows,), generator=random) for size in SPEC.vocabulary_sizes], 1)
    numeric = torch.randn(rows, 2, generator=random)
    packed = torch.stack([torch.randint(0, most, (rows,), generator=random) for most in (4, 6, 6, 6, 3, 9, 9)], 1)
    return categorical, numeric, packed if sequences else None


@pytest.mark.parametrize(
    ("alike", "bound", "wanted", "kept"),
    [
        (ALIKE, 1.0, 1, ((2,), (1,))),
        (ALIKE, 1.0, 0.85, ((0, 2), (1, 3))),
        (NEAR, 0.9, None, ((1, 2, 3), (0, 1, 3))),
        (NEAR, 0.9, 2, ((1, 2), (1, 3))),
        (NEAR, 0.96, None, ((0, 1, 2, 3), (0, 1, 2, 3))),
    ],
)
def test_a_head_keeps_what_contributes_most_and_of_two_that_are_alike_the_larger(alike, bound, wanted, kept):
    assert chosen(CONTRIBUTION, alike, ALL, wanted, bound) == kept


def test_an_expert_that_a_head_did_not_use_stays_out():
    assert chosen(CONTRIBUTION, ALIKE, ((0, 1), (3,)), 2, 1.0) == ((0, 1), (3,))


@pytest.mark.parametrize("kept", [((1,), (0, 2)), ((2,), (2,)), ((0, 1), (0, 1))])
def test_without_the_experts_that_no_head_keeps_predictions_are_those_of_masking(kept):
    model, spec = made()
    weights, smaller = without_experts(model, spec, kept)
    keep_experts(model, (kept,))
    given = inputs()
    left = module_of(smaller, weights)
    torch.testing.assert_close(left.logits(*given), model.logits(*given))
    for head in (0, 1):
        torch.testing.assert_close(left.head_logits([head], *given)[0], model.logits(*given)[:, head])
    assert smaller.model.experts == len({one for of_head in kept for one in of_head})
    assert (smaller.kept_experts == ()) == (len({*map(len, kept)}) == 1 and len(kept[0]) == smaller.model.experts)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sequences", [False, True])
def test_columns_that_are_always_zero_go_without_a_change_of_predictions(kind, sequences):
    model, spec = made(kind, WITH_SEQUENCES if sequences else FEATURES)
    with torch.no_grad():
        table = model.embedding.table.weight
        table[:6, [0, 3]] = 0
        table[6:, [1, 2]] = 0
    spread = torch.ones(spec.bottom_width, dtype=torch.float64)
    for place, gone in enumerate([(0, 3), (1, 2)] * (2 if sequences else 1)):
        spread[[4 * place + column for column in gone]] = 0
    weights, smaller = without_columns(model, spec, spread, 2)
    given = inputs(sequences=sequences)
    assert weights[TABLE].shape == (15, 2)
    torch.testing.assert_close(module_of(smaller, weights).logits(*given), model.logits(*given))


def test_columns_stay_by_how_far_they_move_what_reads_them():
    model, spec = made()
    with torch.no_grad():
        for gate in model.body.gates:
            gate.linear.weight[:, 1] = 100
    spread = torch.ones(spec.bottom_width, dtype=torch.float64)
    spread[[4, 5, 6]] = 1e-9
    weights, _ = without_columns(model, spec, spread, 1)
    expected = torch.cat([model.embedding.table.weight[:6, 1], model.embedding.table.weight[6:, 3]])
    torch.testing.assert_close(weights[TABLE][:, 0], expected.detach())


def test_rare_values_read_as_unknown_which_is_their_mean():
    model, spec = made()
    looked_up = torch.tensor([9, 1, 9, 2, 9, 1, *[0, 0, 9, 9, 9, 9, 9, 9, 9]])
    weights, smaller = without_rows(model.state_dict(), spec, looked_up, 3)
    assert smaller.vocabulary_sizes == (5, 9)
    assert smaller.hidden == {"cat_x": (3,)}
    left, table = module_of(smaller, weights), model.embedding.table.weight.detach()
    own = left.embedding.table.weight.detach()
    torch.testing.assert_close(own[UNKNOWN], (table[1] + 2 * table[3] + table[5]) / 4)
    torch.testing.assert_close(own[5:], table[6:])
    categorical, numeric, _ = inputs()
    as_unknown = torch.where(torch.isin(categorical, torch.tensor([3, 5])), UNKNOWN, categorical)
    categorical[:, 1] = as_unknown[:, 1] = 2
    torch.testing.assert_close(left.logits(categorical, numeric), left.logits(as_unknown, numeric))


def test_all_is_cut_together():
    model, spec = made()
    usage = Usage(
        torch.tensor([[1.0, 0, 0], [0, 0, 1.0]]), torch.eye(3), torch.full((15,), 9), torch.ones(spec.bottom_width)
    )
    smaller, cut_spec = cut(model, spec, usage, CompressConfig(experts=1, embedding_dim=2, min_rows=5))
    assert (cut_spec.model.experts, cut_spec.model.embedding_dim) == (2, 2)
    assert cut_spec.kept_experts == (((0,), (1,)),)
    assert smaller.logits(*inputs()).shape == (60, 2)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("dcn", {"experts": 1}, "cut experts that heads share; dcn has none"),
        ("camoe", {"embedding_dim": 5}, "compress.embedding_dim=5: the model's embeddings have 4 columns"),
    ],
)
def test_what_is_not_there_cannot_be_cut(kind, settings, message):
    model, spec = made(kind)
    usage = Usage(torch.zeros(2, 0), torch.zeros(0, 0), torch.zeros(15), torch.ones(spec.bottom_width))
    with pytest.raises(ConfigError, match=message):
        cut(model, spec, usage, CompressConfig.model_validate(settings))
