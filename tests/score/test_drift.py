"""Drift: scores against the validation days, and bounds that end the job with a code of its own, before or after."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.special import expit

from camoe.bundle.manifest import METRICS, read_manifest, write_manifest
from camoe.config.pipeline import Config
from camoe.contracts.drift.shift import psi
from camoe.contracts.files import write_json
from camoe.metrics.config import DriftConfig
from camoe.metrics.histogram import Histogram
from camoe.metrics.scores import quantiles, references, score_bins, score_shift
from camoe.score.drift import drift_of
from camoe.score.local import score_snapshot
from camoe.score.scorer import read_model
from camoe.score.seen import Seen
from camoe.score.unknown import Unknown
from jobs import score
from tests.jobs.in_process import run_main
from tests.model.specs import HEADS, SLOTS
from tests.score.pipeline import CALIBRATION, DAYS, write_scorable

DAY = DAYS[1]
NOTHING = Histogram.empty(1)


def drawn(mean, rows=20_000, seed=1):
    return expit(np.random.default_rng(seed).normal(mean, 1.0, rows))


def seen_of(p, slot="a", head="audio"):
    seen = Seen()
    for number, rows in zip(*np.unique(score_bins(p), return_counts=True), strict=True):
        seen.scores["click", slot, head, int(number)] += int(rows)
    return seen


@pytest.fixture(scope="module")
def reference():
    """Scores of head audio in slot a, calibrated."""
    states = {
        "audio": [Histogram.from_rows(drawn(-2), np.zeros(20_000)), NOTHING, NOTHING],
        "video": [NOTHING, NOTHING, Histogram.from_rows(drawn(-3), np.zeros(20_000))],
    }
    return references(states, CALIBRATION, HEADS, SLOTS)


def test_a_reference_has_the_quantiles_of_the_calibrated_scores_in_about_ten_cells(reference):
    audio, video = reference
    assert (audio.head, audio.slot, audio.rows, video.slot) == ("audio", "a", 20_000, "v")
    assert 9 <= len(audio.counts) == len(audio.starts) <= 11
    calibrated = CALIBRATION["audio"].calibrated(drawn(-2))
    for name, level in (("p05", 0.05), ("p50", 0.5), ("p95", 0.95)):
        assert audio.quantiles[name] == pytest.approx(np.quantile(calibrated, level), rel=0.06)


def test_the_shift_is_that_of_the_rows_in_the_cells(reference):
    calibrated = CALIBRATION["audio"].calibrated(drawn(-1.7, seed=2))
    bins = seen_of(calibrated).bins()["click", "a", "audio"]
    shift = score_shift(reference[0], bins)
    place = np.searchsorted(reference[0].starts, score_bins(calibrated), side="right") - 1
    counted = np.bincount(np.maximum(place, 0), minlength=len(reference[0].starts))
    assert shift.psi == pytest.approx(psi(reference[0].counts, counted.tolist()))
    assert shift.psi > 0.02
    again = CALIBRATION["audio"].calibrated(drawn(-2, seed=3))
    assert score_shift(reference[0], seen_of(again).bins()["click", "a", "audio"]).psi < 0.005
    assert quantiles({}) == {}


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ({"scores": 0.1}, ["scores of audio in a: PSI "]),
        ({"scores": 5.0}, []),
        ({"scores": 0.1, "least_rows": 20_001}, []),
        ({"features": 0.2}, ["feature f: PSI 0.300 above 0.2"]),
        ({"features": 0.2, "moving": ("f",)}, []),
        ({"unknown": 0.1}, ["cat_x: 20.0% unknown, above 10.0%"]),
        ({"every_head": True}, ["head video has no row"]),
        ({}, []),
    ],
)
def test_what_is_beyond_the_bounds_is_said(reference, bounds, said):
    seen = seen_of(drawn(0))
    unknown = Unknown()
    unknown.found["cat_x"], unknown.seen["cat_x"] = 400, 2000
    features = {"f": {"rows": 5000, "psi": 0.31, "psi_by_chance": 0.01, "missing": 0.0, "unknown": 0.0}}
    drift = drift_of(reference, Seen(seen.scores, unknown), features, DriftConfig(**bounds))
    assert len(drift.beyond) == len(said)
    assert all(line.startswith(start) for line, start in zip(drift.beyond, said, strict=True))
    assert drift.silent == ("video",)


def test_a_moving_feature_that_there_is_not_is_named(pipeline):
    settings = pipeline.config.model_dump() | {"drift": {"moving": ["genres"]}}
    with pytest.raises(ValidationError, match=r"drift\.moving: 'genres' is no feature; did you mean 'genre'"):
        Config.model_validate(settings)


def test_a_bundle_without_a_reference_says_so():
    drift = drift_of(None, seen_of(drawn(0)), {}, DriftConfig(scores=0.0, every_head=True))
    assert drift.beyond == ()
    assert "the bundle has no scores of its validation days" in str(drift)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """A bundle whose validation scores were those of other rows: all far lower."""
    pipeline = write_scorable(tmp_path_factory.mktemp("drift"))
    model, config = read_model(pipeline.bundle), pipeline.config
    low = Histogram.from_rows(drawn(-6), np.zeros(20_000))
    states = {"audio": [low, low, NOTHING], "video": [NOTHING, NOTHING, low]}
    told = references(states, CALIBRATION, config.heads, config.slots)
    folder = model.folder
    metrics = json.loads((folder / METRICS).read_text())
    write_json(folder / METRICS, {**metrics, "scores": [one.model_dump() for one in told]})
    manifest = read_manifest(folder)
    digest = hashlib.sha256((folder / METRICS).read_bytes()).hexdigest()
    write_manifest(folder, manifest.model_copy(update={"files": {**manifest.files, METRICS: digest}}))
    return pipeline


BOUNDS = ("--local", "--days", str(DAY), "drift.scores=0.25", "drift.least_rows=50")


def test_drift_is_told_and_kept_without_bounds(pipeline, capsys):
    assert run_main(score.main, pipeline.path, "--local", "--days", str(DAY)) == 0
    assert "score: PSI of scores against the validation days: " in capsys.readouterr().out
    layout = pipeline.config.layout
    version = read_manifest(pipeline.bundle).model_version
    document = json.loads((layout.drift / f"{version}.json").read_text())
    seen = Seen()
    list(score_snapshot(read_model(pipeline.bundle), pipeline.snapshot, [DAY], seen))
    assert {(one["head"], one["slot"], one["rows"]) for one in document["scores"]} == {
        (head, slot, sum(bins.values())) for (_, slot, head), bins in seen.bins().items()
    }
    assert document["beyond_bounds"] == []
    assert document["features"] == {}


def test_drift_beyond_the_bounds_ends_the_job_with_its_own_code_after_writing(pipeline, capsys):
    layout = pipeline.config.layout
    before = len(list((layout.predictions / "_delta_log").glob("*.json")))
    assert run_main(score.main, pipeline.path, *BOUNDS) == 3
    said = capsys.readouterr()
    assert (
        "error: the predictions are written, and there is drift beyond the declared bounds (drift): scores of"
        in said.err
    )
    assert "score: beyond bounds: scores of audio in s0: PSI " in said.out
    assert len(list((layout.predictions / "_delta_log").glob("*.json"))) == before + 1
    assert json.loads(layout.counts.read_text())["score"]["beyond_bounds"]


def test_strict_drift_ends_it_before_anything_is_written(pipeline, capsys):
    log = sorted((pipeline.config.layout.predictions / "_delta_log").iterdir())
    assert run_main(score.main, pipeline.path, *BOUNDS, "--strict") == 3
    assert "error: nothing was written: drift beyond the declared bounds (drift): scores of" in capsys.readouterr().err
    assert sorted((pipeline.config.layout.predictions / "_delta_log").iterdir()) == log


def test_strict_without_drift_writes(pipeline):
    log = list((pipeline.config.layout.predictions / "_delta_log").glob("*.json"))
    assert run_main(score.main, pipeline.path, "--local", "--days", str(DAY), "--strict") == 0
    assert len(list((pipeline.config.layout.predictions / "_delta_log").glob("*.json"))) == len(log) + 1
