"""Files and folders are written whole or not at all."""

from __future__ import annotations

import os
import stat

import pytest

from camoe.contracts.files import atomic_file, atomic_folder, is_temporary, write_text
from tests.killed import killed_at_each


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_its_place_once_it_is_whole(tmp_path):
    path = tmp_path / "new/report.json"
    write_text(path, "old")
    with atomic_file(path) as temporary:
        temporary.write_text("new")
        assert is_temporary(temporary)
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(path.parent) == ["report.json"]


def test_a_file_whose_writing_fails_leaves_the_old_one_alone(tmp_path):
    path = tmp_path / "report.json"
    write_text(path, "old")
    with pytest.raises(ValueError, match="half"), atomic_file(path) as temporary:
        temporary.write_text("ne")
        raise ValueError("half")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["report.json"]


def test_a_writer_that_is_killed_leaves_the_old_file_or_the_new_one(tmp_path):
    path = tmp_path / "report.json"
    write_text(path, "old")
    found = []
    for through in killed_at_each(lambda: write_text(path, "new")):
        found.append((path.read_text(), through))
        assert all(is_temporary(beside) for beside in tmp_path.iterdir() if beside != path)
    assert set(found) == {("old", False), ("new", False), ("new", True)}


@pytest.mark.parametrize("before", [None, "killed"])
def test_a_folder_has_its_name_once_all_of_it_is_on_disk(tmp_path, monkeypatch, before):
    synced, sync = set(), os.fsync
    target, staging = tmp_path / "v1", tmp_path / ".staging-v1"
    if before:
        staging.mkdir()
        (staging / before).write_text("half")

    def noted(number):
        sync(number)
        synced.add(os.fstat(number).st_ino)

    monkeypatch.setattr(os, "fsync", noted)
    with atomic_folder(target, staging) as filled:
        (filled / "deep").mkdir()
        (filled / "deep/a").write_text("a")
        assert not target.exists()
    everything = [target, *target.rglob("*"), tmp_path]
    assert {path.stat().st_ino for path in everything} <= synced
    assert names(target) == ["deep"]
    assert names(tmp_path) == ["v1"]


def test_a_folder_whose_filling_fails_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="half"), atomic_folder(tmp_path / "v1", tmp_path / ".staging-v1") as filled:
        (filled / "a").write_text("a")
        raise ValueError("half")
    assert names(tmp_path) == []


def test_a_folder_with_content_makes_no_way(tmp_path):
    target, staging = tmp_path / "v1", tmp_path / ".staging"
    target.mkdir()
    (target / "a").write_text("old")
    with pytest.raises(OSError, match="not empty"), atomic_folder(target, staging) as filled:
        (filled / "a").write_text("new")
    assert (target / "a").read_text() == "old"


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_files_of_a_folder_have_the_rights_that_the_process_gives(tmp_path, mask):
    before = os.umask(mask)
    try:
        with atomic_folder(tmp_path / "v1", tmp_path / ".staging") as filled:
            (filled / "deep").mkdir()
            (filled / "deep/a").touch(mode=0o600)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "v1/deep/a").stat().st_mode) == 0o666 & ~mask
