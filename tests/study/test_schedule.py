import sys

import pytest

from camoe.study.schedule import Progress, run
from camoe.study.trial import RESULT, Result, StudyError, Task, Trial

# A process that does what the name of its folder says.
PROCESS = """
import os, signal, sys, time
from pathlib import Path
from camoe.study.trial import Result, read_task
trial = read_task(Path(sys.argv[1]))
with open(trial.folder.parent / "begun.txt", "a") as file:
    file.write(trial.folder.name + "\\n")
if trial.folder.name == "explains":
    print("error: no rows on 2026-01-04", file=sys.stderr)
    sys.exit(2)
if trial.folder.name == "dies":
    os.kill(os.getpid(), signal.SIGKILL)
trial.finish(Result(variant=trial.task.variant, fold="f", seed=1, factors={}, given_up=False, score=0.9,
                    table_version=0, code_version="c", seconds=5.0))
if trial.folder.name == "lingers":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(3600)
"""


RESULTS = {
    "variant": "one", "fold": "f", "seed": 1, "factors": {}, "given_up": False, "score": 0.9, "table_version": 0,
    "code_version": "c", "seconds": 5.0,
}  # fmt: skip


def trials(folder, *names):
    task = {"fold": "f", "seed": 1, "system": "network", "config": "c.yaml", "overrides": (), "table_version": 0}
    return [Trial(Task(variant=name, **task), folder / name) for name in names]


def begun(folder):
    path = folder / "begun.txt"
    return sorted(path.read_text().split()) if path.exists() else []


@pytest.fixture
def process(tmp_path):
    script = tmp_path / "process.py"
    script.write_text(PROCESS)
    return sys.executable, str(script)


@pytest.mark.lengthy
def test_what_fails_hinders_no_other_and_is_done_again_alone(tmp_path, process, capsys):
    some = trials(tmp_path, "one", "explains", "two")
    with pytest.raises(
        StudyError, match=r"1 trials failed, the first one: f explains seed 1: no rows on 2026-01-04 \(log"
    ):
        run(some, 2, Progress(3, 2), process)
    assert begun(tmp_path) == ["explains", "one", "two"]
    told = capsys.readouterr().out
    assert "study: 1 of 3  f " in told
    assert "took 5 s; about 5 s left" in told
    with pytest.raises(StudyError, match="explains"):
        run(some, 2, Progress(3, 2), process)
    assert begun(tmp_path) == ["explains", "explains", "one", "two"]


@pytest.mark.lengthy
def test_a_trial_that_is_killed_is_told_with_its_code(tmp_path, process):
    with pytest.raises(StudyError, match="f dies seed 1: it ended with code -9"):
        run(trials(tmp_path, "dies"), 1, Progress(1, 1), process)


@pytest.mark.lengthy
def test_a_process_that_does_not_go_when_its_trial_is_done_is_killed(tmp_path, process, monkeypatch):
    monkeypatch.setattr("camoe.study.schedule.END_S", 1.0)
    results = run(trials(tmp_path, "lingers", "one"), 1, Progress(2, 1), process)
    assert [result.score for result in results] == [0.9, 0.9]
    assert begun(tmp_path) == ["lingers", "one"]


def test_a_trial_that_is_asked_for_again_is_counted_once(tmp_path, capsys):
    progress, result = Progress(2, 1), Result(**RESULTS)
    one, two = trials(tmp_path, "one", "two")
    for trial in (one, one, two):
        progress.finished(trial, result)
    told = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in told] == ["study: 1 of 2", "study: 2 of 2"]
    assert told[-1].endswith("about 0 s left")


def test_a_damaged_manifest_or_other_states_are_refused_by_name(tmp_path):
    (trial,) = trials(tmp_path, "one")
    trial.folder.mkdir()
    assert trial.result() is None
    (trial.folder / "states.parquet").write_bytes(b"states")
    trial.finish(Result(**RESULTS))
    assert trial.result().score == 0.9
    (trial.folder / "states.parquet").write_bytes(b"others")
    with pytest.raises(
        StudyError, match=r"states.parquet is not the file that its trial wrote; remove .*manifest.json"
    ):
        trial.result()
    (trial.folder / RESULT).write_text("{")
    with pytest.raises(StudyError, match=r"manifest.json is damaged"):
        trial.result()
