"""The file of all that the workers say, on a disk that is full."""

from __future__ import annotations

from camoe.train.launch.output import log_file
from tests.disk import FULL, small_disk

LINE = "x" * 999 + "\n"


def test_on_a_full_disk_training_is_told_once_and_goes_on(tmp_path, capsys):
    with small_disk(tmp_path / "disk") as disk:
        log = disk / "workers.log"
        with log_file(log) as keep:
            for _ in range(1_000):
                keep(LINE)
        held = log.read_text()
    said = capsys.readouterr().out
    assert held.startswith(LINE * 300)
    assert said.count("training goes on without it") == 1
    assert f"train: {log} could not be written (" in said
    assert any(reason in said for reason in FULL)


def test_what_the_workers_say_is_in_the_file_at_once(tmp_path):
    log = tmp_path / "workers.log"
    log.write_text("of an earlier run")
    with log_file(log) as keep:
        keep("step 1 \u00e9\n")
        assert log.read_text() == "step 1 \u00e9\n"
