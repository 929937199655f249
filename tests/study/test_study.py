import json
import os
import signal
import subprocess
import sys
import time

import pytest

from camoe.contracts.places.pins import read_pins
from camoe.contracts.snapshot import pin
from camoe.study.states import CHOOSE, TEST, entropy_over_slots, read_states
from camoe.study.trial import STATES
from tests.paths import ROOT
from tests.study.small import VARIANTS, write_study

JOB = (sys.executable, str(ROOT / "jobs/study.py"), "--study")


def manifests(folder):
    return {path: path.stat().st_mtime_ns for path in (folder / "study/trials").glob("*/*/*/manifest.json")}


@pytest.mark.lengthy
@pytest.mark.bundle
@pytest.mark.slow
def test_a_study_that_is_killed_goes_on_and_finds_what_is_planted(tmp_path):
    study = write_study(tmp_path)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([*JOB, str(study)], env=environment, cwd=ROOT) as first:
        while not manifests(tmp_path) and first.poll() is None:
            time.sleep(0.2)
        first.send_signal(signal.SIGKILL)
    before = manifests(tmp_path)
    assert len(before) == 1
    ended = subprocess.run([*JOB, str(study)], env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    assert before.items() <= manifests(tmp_path).items()
    assert "study: 1 of 3  main two seed 1: score" in ended.stdout
    found = json.loads((tmp_path / "study/results.json").read_text())
    answers = {name: claim["answer"] for name, claim in found["claims"].items()}
    # The one head cannot know that video is liked the other way round; of audio it can know as much.
    assert answers == {"video": "holds", "both": "cannot be told", "undominated": "holds"}
    assert (
        found["rows"]["all"]["impressions"]
        == sum(found["rows"][slot]["impressions"] for slot in ("s0", "s1", "s2"))
        == found["trials"][0]["rows"] - found["trials"][0]["unlabelled"]
    )
    assert {trial["table_version"] for trial in found["trials"]} == {pin(tmp_path / "out/training").version}
    page = (tmp_path / "study/results.md").read_text()
    assert "| Two heads rank better than one in video | **holds** |" in page
    assert (tmp_path / "study/pareto_audio_video.png").stat().st_size > 10_000
    # What the killed one held is nobody's; the second has let go of its own.
    assert {pin.state() for pin in read_pins(tmp_path / "out/pins")} <= {"ended"}
    assert not (tmp_path / "study/.study.lock").exists()


@pytest.mark.slow
def test_a_tuned_study_gives_each_variant_as_many_trials_and_judges_them_on_days_of_their_own(tmp_path):
    days = ["days.train.last=2026-01-01", "days.validation.first=2026-01-02", "days.validation.last=2026-01-02"]
    fold = {"lake": str(tmp_path / "out"), "overrides": days, "choose": {"first": "2026-01-03", "last": "2026-01-03"}}
    variants = {name: VARIANTS[name] for name in ("one", "trees")}
    study = write_study(
        tmp_path, folds={"main": fold}, variants=variants, claims={}, tuning={"trials": 3}, seeds=[1, 2]
    )
    ended = subprocess.run([*JOB, str(study), "--jobs", "2"], cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads((tmp_path / "study/results.json").read_text())
    assert set(found["factors"]) == {"one", "trees"}
    for name, factors in found["factors"].items():
        tried = [
            json.loads(path.read_text()) for path in (tmp_path / f"study/trials/main/{name}").glob("*/manifest.json")
        ]
        of_tuning = [trial for trial in tried if trial["seed"] == 1]
        assert len(of_tuning) == 3
        best = min((trial for trial in of_tuning if not trial["given_up"]), key=lambda trial: trial["score"])
        assert best["factors"] == factors
        # The score is that of the days that chose, neither that of those that stopped training nor of those reported.
        for path in (tmp_path / f"study/trials/main/{name}").glob("*/manifest.json"):
            trial = json.loads(path.read_text())
            if trial["given_up"]:
                continue
            states = {part: read_states(path.with_name(STATES), part) for part in (CHOOSE, TEST)}
            assert {part: set(of["date"]) for part, of in states.items()} == {
                CHOOSE: {"2026-01-03"},
                TEST: {"2026-01-04"},
            }
            assert trial["score"] == pytest.approx(entropy_over_slots(states[CHOOSE]))
            others = [entropy_over_slots(states[TEST]), *dict(trial["checks"]).values()]
            assert not any(trial["score"] == pytest.approx(other) for other in others)
    again = subprocess.run([*JOB, str(study)], cwd=ROOT, capture_output=True, text=True, check=True)
    assert again.stdout.count("took") == ended.stdout.count("took")
    assert len(list((tmp_path / "study/trials/main").glob("*/*/manifest.json"))) == 2 * (3 + 1)
