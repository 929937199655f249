"""TensorBoard's files on a disk that is full."""

from __future__ import annotations

from pathlib import Path

import pytest

from camoe.train.tracking.trackers import TensorBoard, track
from tests.bundle.manifest import MANIFEST
from tests.disk import FULL, small_disk

FIGURES = {f"figure/{number}": 0.5 for number in range(2000)}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_on_a_full_disk_training_is_told_once_and_goes_on(tmp_path, capsys):
    with small_disk(tmp_path / "disk") as disk:
        board = TensorBoard(disk / "board", 1)
        for step in range(1, 21):
            track([board], iter(FIGURES.items()), step)
        board.finish(Path("bundle"), MANIFEST, [])
    said = capsys.readouterr().out
    assert said.count("train: ") == 1
    assert f"train: TensorBoard's files in {disk / 'board'} could not be written (" in said
    assert any(reason in said for reason in FULL)
    assert "training goes on without them" in said


def test_a_folder_that_cannot_be_made_is_told_too(tmp_path, capsys):
    (tmp_path / "logs").write_text("a file where the folder should be")
    track([TensorBoard(tmp_path / "logs/board", 1)], iter(FIGURES.items()), 1)
    assert capsys.readouterr().out.count("training goes on without them") == 1
