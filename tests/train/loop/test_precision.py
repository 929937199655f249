"""What `precision: auto` computes in, and that bf16 costs neither AUC-PR nor calibration."""

from __future__ import annotations

import pytest
import torch
from scipy.special import expit

from camoe.config.model import DcnModelConfig, MmoeConfig, PleConfig, SharedBottomConfig
from camoe.config.training import TrainingConfig
from camoe.train.distributed.workers import join_workers
from camoe.train.loop.precision import bf16_instructions, choose_precision, with_one_precision
from tests.train.planted import SPEC, TRAINING, learned, own_logits, planted, quality

AUTO = TrainingConfig(precision="auto")
SEEDS = (1, 2, 3)
SMALL = {"embedding_dim": 4, "tower_hidden": (8,)}
CROSS = {"cross_layers": 2, "hidden": (16, 8)}
# `auto` takes bf16 whatever the model, so it is shown for each.
KINDS = (
    SPEC.model,
    MmoeConfig(kind="mmoe", experts=2, expert_hidden=(16, 8), **SMALL),
    PleConfig(kind="ple", expert={"kind": "mlp", "hidden": (16, 8)}, **SMALL),
    SharedBottomConfig(kind="shared_bottom", hidden=(16, 8), **SMALL),
    DcnModelConfig(kind="dcn", network=CROSS, **SMALL),
)


@pytest.mark.parametrize(
    ("change", "device", "instructions", "expected"),
    [
        ({}, "cpu", {"avx512_bf16"}, ("bf16", "every worker's processor has avx512_bf16")),
        ({}, "cpu", {"amx_bf16"}, ("bf16", "every worker's processor has amx_bf16")),
        ({}, "cpu", set(), ("fp32", "not every worker's processor has one of amx_bf16, avx512_bf16")),
        ({}, "cuda", {"amx_bf16"}, ("fp32", "bf16 has not been shown to give equal AUC-PR and ECE on cuda")),
        ({"dtype": "float64"}, "cpu", {"amx_bf16"}, ("fp32", "dtype is float64")),
    ],
)
def test_auto_is_bf16_only_where_it_is_computed_and_shown(change, device, instructions, expected):
    assert choose_precision(AUTO.model_copy(update=change), torch.device(device), instructions) == expected


def test_the_processor_says_what_it_computes(tmp_path):
    described = tmp_path / "cpuinfo"
    described.write_text("model name : one\nflags\t\t: fpu avx512f avx512_bf16 sse2\n")
    assert bf16_instructions(described) == {"avx512_bf16"}
    described.write_text("flags : fpu avx512f avx512_bf16_like\n")
    assert bf16_instructions(described) == set()
    assert bf16_instructions(tmp_path / "none") == set()


def test_auto_says_what_it_took_on_this_machine_and_a_given_precision_stays(capsys):
    workers = join_workers()
    expected, reason = choose_precision(AUTO, workers.device, bf16_instructions())
    assert with_one_precision(AUTO, workers) == AUTO.model_copy(update={"precision": expected})
    assert f"train: training.precision auto computes in {expected}: {reason}" in capsys.readouterr().out
    given = AUTO.model_copy(update={"precision": "bf16"})
    assert with_one_precision(given, workers) == given
    assert not capsys.readouterr().out


@pytest.fixture(scope="module", params=KINDS, ids=lambda model: model.kind)
def trained(request):
    """By precision and seed, each head's quality on rows that no training saw. Emulated bf16 rounds alike."""
    rows, held_out = planted(120_000, seed=1), planted(60_000, seed=2)
    spec = SPEC.model_copy(update={"model": request.param})

    def judged(precision, seed):
        train_step = learned(TRAINING.model_copy(update={"precision": precision, "seed": seed}), rows, spec)
        return quality(expit(own_logits(train_step, held_out)), held_out)

    return {precision: [judged(precision, seed) for seed in SEEDS] for precision in ("fp32", "bf16")}


@pytest.mark.slow
@pytest.mark.parametrize("head", [head.name for head in SPEC.heads.heads])
@pytest.mark.parametrize("metric", ["auc_pr", "ece"])
def test_bf16_moves_auc_pr_and_ece_by_less_than_seeds_do(trained, head, metric):
    """The mean over seeds moves by less than fp32's own seeds lie apart; and the two precisions are not the same."""
    fp32, bf16 = ([getattr(one[head], metric) for one in trained[precision]] for precision in ("fp32", "bf16"))
    assert fp32 != bf16
    assert abs(sum(bf16) - sum(fp32)) / len(SEEDS) < max(fp32) - min(fp32)
