"""Paths in an object store: the small files of a lake are read, listed, written and deleted there as on a disk."""

from __future__ import annotations

import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import pytest

from camoe.contracts import files
from camoe.contracts.files import (
    WHOLE,
    atomic_file,
    atomic_folder,
    is_whole,
    local_folder,
    remove_folder,
    unfinished,
    updated,
    whole_folders,
    write_json,
    write_text,
)
from camoe.contracts.places.objects import StorePath, path_at
from camoe.contracts.places.store import PlaceError, open_place
from tests.object_store import KEY_ID, SECRET, TOKEN, always, nth


@pytest.fixture(params=["a disk", "a store"])
def folder(request, store, tmp_path, monkeypatch):
    """A folder of the test's own on a disk, and one in a store."""
    monkeypatch.setenv("CAMOE_CACHE", str(tmp_path / "cache"))
    if request.param == "a disk":
        return tmp_path / "lake"
    return path_at(f"s3://lake/{request.node.originalname}")


@pytest.fixture
def remote(store, request, tmp_path, monkeypatch):
    monkeypatch.setenv("CAMOE_CACHE", str(tmp_path / "cache"))
    return path_at(f"s3://lake/{request.node.originalname}")


def filled(**contents):
    """What writes files of these contents into a folder."""

    def fill(staging):
        (staging / "deep").mkdir()
        for name, content in contents.items():
            (staging / "deep" / name).write_text(content)

    return fill


def publish(target, fill):
    with atomic_folder(target, target.with_name(".staging-x")) as staging:
        fill(staging)


def test_small_files_are_written_listed_read_and_deleted(folder):
    assert not folder.exists()
    assert [*folder.glob("*.json")] == []
    write_json(folder / "runs/a.json", {"a": 1})
    write_text(folder / "runs/b.json", "å")
    write_text(folder / "runs/.b.lock", "")
    with atomic_file(folder / "runs/deep/c.png") as temporary:
        temporary.write_bytes(b"c")
    runs = folder / "runs"
    assert (folder.is_dir(), folder.is_file(), (runs / "a.json").is_dir(), (runs / "a.json").is_file()) == (
        *(True, False),
        *(False, True),
    )
    assert json.loads((runs / "a.json").read_bytes()) == {"a": 1}
    assert (runs / "b.json").read_text(encoding="utf-8") == "å"
    assert (runs / "b.json").stat().st_size == 2
    assert runs.stat().st_mtime > 1.7e9
    assert [path.name for path in sorted(runs.iterdir())] == [".b.lock", "a.json", "b.json", "deep"]
    assert sorted(runs.glob("*.json")) == [runs / "a.json", runs / "b.json"]
    assert [path.stem for path in runs.glob(".*.lock")] == [".b"]
    assert [*folder.glob("*/deep/*.png")] == [*folder.glob("runs/*/c.png")] == [runs / "deep/c.png"]
    (runs / "a.json").unlink()
    (runs / "a.json").unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError):
        (runs / "a.json").unlink()
    with pytest.raises(FileNotFoundError):
        (runs / "a.json").read_bytes()
    assert [*runs.glob("*.json")] == [runs / "b.json"]


def test_what_a_console_makes_for_a_folder_is_nothing_in_it(remote, store):
    for name in ("", "runs/"):
        assert put(store, f"{remote.name}/{name}") == 200
    write_text(remote / "runs/a.json", "")
    assert [*remote.iterdir()] == [remote / "runs"]
    assert [*(remote / "runs").iterdir()] == [*remote.glob("runs/*")] == [remote / "runs/a.json"]
    assert open_place(str(remote / "runs")).names() == ["a.json"]
    assert open_place(str(remote)).names("runs") == ["runs/a.json"]


def put(store, key):
    """Put an empty object of a name that no `Path` has."""
    server = HTTPConnection(store.address)
    server.request("PUT", f"/lake/{key}", b"")
    status = server.getresponse().status
    server.close()
    return status


def test_of_changes_at_once_none_is_lost(folder):
    def add(number):
        updated(folder / "counts.json", lambda old: json.dumps([*json.loads(old or b"[]"), number]))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(12)))
    assert sorted(json.loads((folder / "counts.json").read_bytes())) == list(range(12))


def test_a_folder_is_there_whole_or_not_at_all(folder):
    parent = folder / "encoder"
    publish(parent / "v1", filled(a="one", b="1"))
    with pytest.raises(ZeroDivisionError):
        publish(parent / "v2", lambda _staging: 1 / 0)
    assert whole_folders(parent, "v*") == [parent / "v1"]
    assert is_whole(parent / "v1")
    assert not is_whole(parent / "v2")
    there = local_folder(parent / "v1")
    assert {path.name: path.read_text() for path in (there / "deep").iterdir()} == {"a": "one", "b": "1"}
    with pytest.raises(OSError, match=r"v1|exist|empty"):
        publish(parent / "v1", filled(a="another"))
    assert (local_folder(parent / "v1") / "deep/a").read_text() == "one"
    remove_folder(parent / "v1")
    assert whole_folders(parent, "v*") == []
    publish(parent / "v1", filled(a="two"))
    assert (local_folder(parent / "v1") / "deep/a").read_text() == "two"


def test_of_those_that_publish_a_folder_at_once_one_does_and_it_is_whole(remote):
    def attempt(number):
        try:
            with atomic_folder(remote / "v1", remote / ".staging") as staging:
                for name in ("a", "b"):
                    (staging / name).write_text(str(number))
        except FileExistsError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        done = [*pool.map(attempt, range(4))]
    assert sum(done) == 1
    there = local_folder(remote / "v1")
    assert {(there / name).read_text() for name in ("a", "b")} == {str(done.index(True))}
    assert len([*remote.glob("v1/*/a")]) == 1, "the others have taken theirs away"


def test_a_folder_without_its_last_object_is_none(remote, store):
    store.fault = always("403 AccessDenied", f"PUT /lake/{remote.name}/v1/{WHOLE}")
    with pytest.raises(PlaceError, match="rights that this process has"):
        publish(remote / "v1", filled(a="one"))
    store.begin()
    assert remote.is_dir()
    assert not is_whole(remote / "v1")
    assert whole_folders(remote, "v*") == [*unfinished(remote.with_name("none"))] == []
    assert [*unfinished(remote)] == [remote / "v1"]
    publish(remote / "v1", filled(a="two"))
    (left,) = unfinished(remote)
    assert left.parent == remote / "v1"
    assert (local_folder(remote / "v1") / "deep/a").read_text() == "two"


def test_a_copy_is_made_once_and_of_the_files_that_were_written(remote, store):
    publish(remote / "v1", filled(a="one"))
    local_folder(remote / "v1")
    store.begin()
    local_folder(remote / "v1")
    assert not [line for line in store.lines if "deep/a" in line]
    publish(remote / "v2", filled(a="one"))
    (name,) = remote.glob("v2/*/deep/a")
    write_text(name, "damaged")
    with pytest.raises(OSError, match=r"s3://lake/\S+/deep/a is not the file that was written"):
        local_folder(remote / "v2")
    assert not [*files.cache_folder().rglob(".staging*")]


def test_lost_answers_change_nothing(remote, store):
    for number, part in enumerate(("/deep/", f"/{WHOLE}")):
        store.fault = nth(0, "lost", part)
        publish(remote / f"v{number}", filled(a="one"))
    assert store.done == ["lost", "lost"]
    assert len(whole_folders(remote, "v*")) == 2


def test_paths_keep_their_address(remote):
    path = remote / "a" / "b.json"
    assert str(path) == f"s3://lake/{remote.name}/a/b.json"
    assert path.parent.parent == remote == path.parents[1]
    assert path.with_name("c").name == "c"
    assert (path.absolute(), path.resolve()) == (path, path)
    assert isinstance(pickle.loads(pickle.dumps(path)), StorePath)
    assert str(pickle.loads(pickle.dumps(path))) == str(path)
    assert path_at("/lake/x") == Path("/lake/x")
    assert not isinstance(path_at("file:///lake/x"), StorePath)


def test_what_a_store_does_not_do_is_refused(remote, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for wrong in (lambda: remote.open("w"), lambda: remote.rename("x"), lambda: remote.write_text("x")):
        with pytest.raises(PlaceError, match="is no file that can be opened"):
            wrong()
    with pytest.raises(FileNotFoundError):
        open(remote)  # noqa: PTH123, SIM115
    assert [*tmp_path.iterdir()] == []


def test_a_refusal_is_told_without_credentials(remote, store):
    store.fault = always("403 AccessDenied", "")
    for ask in (remote.read_bytes, remote.is_dir, lambda: [*remote.iterdir()], lambda: write_text(remote, "x")):
        with pytest.raises(PlaceError, match="look at the address, region, credentials and rights") as caught:
            ask()
        assert not any(secret in str(caught.value) for secret in (KEY_ID, SECRET, TOKEN))
