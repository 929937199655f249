"""The card shows each head and slot before and after calibration, and what the bundle holds."""

from __future__ import annotations

import numpy as np
import pytest

from camoe.bundle.card import model_card
from camoe.contracts.heads import HeadSet
from camoe.metrics.config import EvaluationConfig
from camoe.metrics.histogram import Histogram, merge
from camoe.metrics.platt import fit_platt
from camoe.metrics.validation import by_slot, validation_rows
from tests.bundle.manifest import MANIFEST
from tests.model.specs import HEADS, SLOTS, SPEC

USERS = 10
SETTINGS = EvaluationConfig(user_buckets=USERS, bootstrap=20)
DATA = {
    "train_days": ["d1", "d2"],
    "validation_days": ["d3"],
    "labels_as_of": "2026-01-05",
    "labels_late": ["d2"],
    "train_rows": 9000,
    "validation_rows": 3000,
}
METRICS = {"parameters": 1234, "data": DATA, "refit": []}


def state(slot, rows, rate):
    """Twice too high predictions of one slot; user buckets as calibration at training's end numbers them."""
    rng = np.random.default_rng(slot)
    p = rng.uniform(0.5, 1.5, rows) * rate
    y = rng.random(rows) < p / 2
    bucket = slot * USERS + rng.integers(0, USERS, rows)
    return Histogram.from_rows(p, y, bucket, len(SLOTS.slots) * USERS)


@pytest.fixture(scope="module")
def calibrated():
    audio = merge([state(0, 20_000, 0.2), state(1, 5_000, 0.3)], len(SLOTS.slots) * USERS)
    states = {"audio": audio, "video": state(2, 40, 0.02)}
    calibration = {name: fit_platt(one, 50) for name, one in states.items()}
    split = {name: by_slot(one, len(SLOTS.slots)) for name, one in states.items()}
    return calibration, validation_rows(split, calibration, HEADS, SLOTS, SETTINGS)


def test_each_head_and_each_slot_that_it_serves_has_its_rows_raw_and_calibrated(calibrated):
    _, rows = calibrated
    found = {(row["head"], row["group_kind"], row["group"], row["predictor"]): row for row in rows}
    groups = {key[:3] for key in found}
    assert groups == {
        ("audio", "head", "audio"), ("audio", "slot", "a"), ("audio", "slot", "b"),
        ("video", "head", "video"), ("video", "slot", "v"),
    }  # fmt: skip
    assert len(found) == 2 * len(groups)
    before, after = (found["audio", "head", "audio", name] for name in ("model_raw", "model"))
    assert before["impressions"] == after["impressions"] == 25_000
    assert before["pcoc"] == pytest.approx(2, rel=0.05)
    assert after["pcoc"] == pytest.approx(1, abs=1e-3)
    assert after["ece"] < before["ece"] / 5
    assert after["ne_interval"]["low"] < after["ne"] < after["ne_interval"]["high"]
    assert found["audio", "slot", "b", "model"]["impressions"] == 5_000


def card_of(calibrated, spec=SPEC, **learning):
    calibration, rows = calibrated
    learned = {"mask": True, "negatives": {}} | learning
    return model_card(MANIFEST, spec, METRICS | {"validation": rows, "learning": learned}, calibration)


def test_the_card_tells_results_calibration_files_and_limits(calibrated):
    calibration, rows = calibrated
    card = card_of(calibrated)
    (line,) = (line for line in card.splitlines() if line.startswith("| audio | b |"))
    (row,) = (row for row in rows if (row["group"], row["predictor"]) == ("b", "model"))
    assert f"{row['ne']:.4f} ({row['ne_interval']['low']:.4f} to {row['ne_interval']['high']:.4f})" in line
    assert "- video: none: its labelled rows have one class only (40 labelled rows, 0 positive)" in card
    assert f"slope {calibration['audio'].slope:.4f}" in card
    assert "Labels as known at 2026-01-05, later than training could have run for the test days: d2" in card
    for part in ("version 3", "d1 to d2: 9,000", "camoe.load", "calibration.json", "## Limits"):
        assert part in card


def test_each_head_has_a_line_with_its_objective_and_columns_are_named_for_all_objectives(calibrated):
    card = card_of(calibrated)
    assert "- video: objective click, over modality video; weight 2 in the loss" in card
    assert "| impressions | clicks | AUC-PR" in card
    audio, video = HEADS.heads
    heads = HeadSet(heads=[audio.model_copy(update={"where": {}}), video.model_copy(update={"objective": "like"})])
    card = card_of(calibrated, SPEC.model_copy(update={"heads": heads}))
    assert "- audio: objective click, over every slot; weight 1 in the loss" in card
    assert "- video: objective like, over modality video" in card
    assert "| impressions | positives | AUC-PR" in card
    assert "click rate" not in card


def test_a_card_tells_of_a_refit_and_that_results_and_calibration_are_of_the_model_before_it(calibrated):
    calibration, rows = calibrated
    metrics = METRICS | {"validation": rows, "learning": {"mask": True, "negatives": {}}}
    plain, refit = (model_card(MANIFEST, SPEC, metrics | {"refit": made}, calibration) for made in ([], [{"steps": 3}]))
    assert "d3 to d3: 3,000 impressions, from which these weights learned, too\n" in refit
    assert "the calibration are those of the same training without the validation days" in refit
    assert "refit" not in plain
    assert "learned, too" not in plain


def test_limits_are_those_of_this_model(calibrated):
    def limits(**learning):
        return card_of(calibrated, **learning).split("## Limits")[1]

    plain, other = limits(), limits(mask=False, negatives={"audio": 0.1})
    for text in (plain, other):
        assert "Fewer than 100 positives on the validation days, so results say little: video in v (0)." in text
        assert "`p` is `p_raw`, maybe far from observed rates: video." in text
    assert "training.mask=false" not in plain
    assert "part of the negatives" not in plain
    assert "Every head learned from the impressions of all slots" in other
    assert "Learned from a part of the negatives (audio 10 %)" in other
