import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from camoe.contracts.places.pins import read_pins
from camoe.contracts.snapshot import pin
from camoe.study.states import CHOOSE, TEST, entropy_over_slots, read_states
from camoe.study.trial import STATES
from tests.paths import ROOT
from tests.study.small import VARIANTS, write_study
from tests.waiting import wait_until

JOB = (sys.executable, str(ROOT / "jobs/study.py"), "--study")


# Long enough for a busy machine; a study that does not end is told with the logs of its trials.
LIMIT_S = 900


def manifests(folder):
    return {path: path.stat().st_mtime_ns for path in (folder / "study/trials").glob("*/*/*/manifest.json")}


def checkpoints(folder):
    return list((folder / "study/trials").glob("*/*/*/checkpoints/*-epoch*"))


def processes(folder):
    """The command lines of all processes that work on the study in `folder`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(path.read_text().replace("\0", " "))
    return [command for command in found if str(folder / "study") in command]


def logs(folder):
    found = (folder / "study/trials").glob("*/*/*/log.txt")
    return "\n".join([*processes(folder), *(f"{path}: {path.read_text()[-2000:]}" for path in found)])


def killed_once(study, environment, folder, holds):
    """Begin the study, or go on with it, and kill it as soon as `holds()`; what it has started ends with it."""
    with subprocess.Popen([*JOB, str(study)], env=environment, cwd=ROOT) as job:
        wait_until(lambda: holds() or job.poll() is not None, LIMIT_S, lambda: logs(folder))
        job.kill()
    assert job.returncode == -signal.SIGKILL, "it was over before"
    wait_until(lambda: not processes(folder), 60, lambda: logs(folder))


def finished(study, environment, folder):
    with subprocess.Popen([*JOB, str(study)], env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True) as job:
        try:
            said, _ = job.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            told = logs(folder)
            job.kill()
            pytest.fail(f"the study did not end in {LIMIT_S} s: {told}")
    assert job.returncode == 0, logs(folder)
    return said


@pytest.mark.lengthy
@pytest.mark.bundle
@pytest.mark.slow
def test_a_study_that_is_killed_again_and_again_goes_on_and_finds_what_is_planted(tmp_path):
    study = write_study(tmp_path)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    killed_once(study, environment, tmp_path, lambda: checkpoints(tmp_path))
    assert not manifests(tmp_path)
    killed_once(study, environment, tmp_path, lambda: manifests(tmp_path))
    before = manifests(tmp_path)
    assert len(before) == 1
    said = finished(study, environment, tmp_path)
    assert before.items() <= manifests(tmp_path).items()
    assert "study: 1 of 3  main two seed 1: score" in said
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
    assert "| Nothing beats two heads | **holds** | ahead in every part, as measured, are 0 of 1 others |" in page
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
