"""Raw files in an object store: found, looked at and copied as those of a folder are, each as it was when listed."""

from __future__ import annotations

from pathlib import Path

import pytest

from camoe.contracts.errors import ConfigError, InputError
from camoe.contracts.layout import COPIES
from camoe.contracts.places.leases import this_process
from camoe.contracts.places.store import PlaceError, open_place
from camoe.contracts.storage import open_storage
from features.read.columns import header
from features.read.copies import Wanted, _Copier, kept
from features.read.listing import files_there
from features.read.objects import address_of, asked, copy_of, exists, objects_at, opened, size_of
from tests.object_store import KEY_ID, SECRET, always, copied, nth

FILES = ("a.csv", "late/b.csv", "hour=00/c d%20é+{x}.csv", "hour=00/part=x/e.csv", "_day=1/a.csv")
NO_DATA = ("_SUCCESS", ".a.csv.crc", "late/_started", "_temporary/0/a.csv", ".staging/a.csv", "b._COPYING_")


@pytest.fixture
def bucket(store):
    """Puts objects of these names below an address of the test's own."""
    return open_place("s3://lake")


def put(bucket, folder, names, content=b"id,user\n1,2\n"):
    for name in names:
        assert bucket.create(f"{folder}/{name}", content)


def test_a_path_stands_for_an_address_and_back(tmp_path):
    copies = tmp_path / COPIES / "run"
    path = copy_of("s3://lake/logs/day=1", copies)
    assert path == copies / "lake/logs/day=1"
    assert address_of(path) == "s3://lake/logs/day=1"
    assert copy_of(Path("logs"), copies) == Path("logs")
    assert address_of(tmp_path / "logs") is None
    assert address_of(copies) is None


def test_a_folder_of_a_store_has_the_files_of_a_folder(bucket, tmp_path):
    for name in (*FILES, *NO_DATA):
        (tmp_path / "log" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "log" / name).write_bytes(b"id,user\n1,2\n")
    copied(tmp_path / "log", "s3://lake/folder")
    # What a console leaves for a folder that it made.
    open_storage("s3://lake").filesystem.create_dir("lake/folder/empty")
    here, there = tmp_path / "log", copy_of("s3://lake/folder", tmp_path / COPIES / "run")
    found = files_there("impressions", [there])
    assert {file.relative_to(there): columns for file, columns in found.items()} == {
        file.relative_to(here): columns for file, columns in files_there("impressions", [here]).items()
    }
    assert len(found) == len(FILES)
    for file in found:
        assert header(file, {"header": "true"}) == ("id", "user")
        assert asked(file, lambda file=file: size_of(file)) == 12


def test_what_is_not_there_is_not(bucket, tmp_path):
    put(bucket, "there", ["log/a.csv"])
    copies = tmp_path / COPIES / "run"
    assert exists(copy_of("s3://lake/there/log", copies))
    assert exists(copy_of("s3://lake/there/log/a.csv", copies))
    for address in ("s3://lake/there/lo", "s3://lake/there/log/a"):
        assert not exists(copy_of(address, copies))
        assert objects_at("impressions", address) == []
    assert not exists(copy_of("s3://nowhere/log", copies))
    with pytest.raises(PlaceError, match=r"s3://nowhere/log: the store fails .*NoSuchBucket"):
        objects_at("impressions", "s3://nowhere/log")
    one = copy_of("s3://lake/there/log/a.csv", copies)
    assert files_there("impressions", [one]) == {one: ()}


@pytest.mark.parametrize("names", [("x", "x/y"), ("a" * 300,), ("day=1/a=1/A=2/x",)])
def test_a_name_that_no_file_could_have_is_refused(bucket, tmp_path, request, names):
    folder = request.node.name.replace("[", "-").replace("]", "")[:60]
    put(bucket, folder, names)
    with pytest.raises(InputError, match=r"impressions: (no file could have the name of s3://lake/|two folders in)"):
        files_there("impressions", [copy_of(f"s3://lake/{folder}", tmp_path / COPIES / "run")])


def test_a_lost_connection_is_tried_again_and_a_refusal_is_not(bucket, store, tmp_path):
    put(bucket, "faults", ["a.csv"])
    file = copy_of("s3://lake/faults/a.csv", tmp_path / COPIES / "run")

    def content():
        with opened(file) as stream:
            return stream.read()

    store.fault = nth(0, "cut", "GET /lake/faults")
    assert asked(file, content) == b"id,user\n1,2\n"
    assert store.done == ["cut"]
    for part, look in (("HEAD /lake/faults", lambda: asked(file, content)), ("GET /lake?", lambda: listed(file))):
        store.begin()
        store.fault = always("403 AccessDenied", part)
        with pytest.raises(PlaceError, match=r"look at the address, region, credentials and rights") as caught:
            look()
        assert store.done == ["403 AccessDenied"]
        assert SECRET not in str(caught.value)
        assert KEY_ID not in str(caught.value)


def listed(file):
    return objects_at("impressions", address_of(file))


def wanted(one, target):
    return Wanted(one.name, one.tag, one.written.timestamp(), str(target))


def test_a_copy_is_whole_and_of_the_time_of_its_object(bucket, store, tmp_path):
    put(bucket, "copy", ["a.csv", "b.csv"])
    store.fault = nth(0, "cut", "GET /lake/copy/a.csv")
    _Copier("s3://lake")([wanted(one, tmp_path / one.name) for one in bucket.listed("copy")])
    assert store.done == ["cut"]
    assert [file.read_bytes() for file in sorted((tmp_path / "copy").iterdir())] == [b"id,user\n1,2\n"] * 2
    assert (tmp_path / "copy/a.csv").stat().st_mtime == bucket.entry("copy/a.csv").written.timestamp()


def test_an_object_that_changed_since_it_was_listed_is_named(bucket, tmp_path):
    put(bucket, "changed", ["a.csv", "b.csv"])
    first, second = bucket.listed("changed")
    assert bucket.replace(first.name, b"id,user\n3,4\n", first.tag)
    bucket.delete([second.name])
    for one in (first, second):
        with pytest.raises(InputError, match=rf"s3://lake/{one.name} was changed or removed while it was read"):
            _Copier("s3://lake")([wanted(one, tmp_path / "x")])
    assert list(tmp_path.iterdir()) == []


def test_copies_go_with_their_run_and_those_of_killed_ones_with_the_next(tmp_path):
    copies = tmp_path / COPIES
    for name, holder in (("ended", this_process().model_copy(update={"started": 1})), ("running", this_process())):
        (copies / name / "lake").mkdir(parents=True)
        (copies / f".{name}.lease").write_text(holder.model_dump_json())
    with pytest.raises(ConfigError, match=r"^s3://lake/log and s3://lake/log are wrong$"), kept(copies / "run"):
        assert {path.name for path in copies.iterdir()} == {"running", ".running.lease", ".run.lease"}
        file = copies / "run/lake/log"
        file.parent.mkdir(parents=True)
        raise ConfigError(f"{file} and {file.as_uri()} are wrong")
    assert {path.name for path in copies.iterdir()} == {"running", ".running.lease"}


def test_a_run_that_reads_nothing_of_a_store_makes_no_folder(tmp_path):
    with kept(tmp_path / COPIES / "run"):
        pass
    assert list(tmp_path.iterdir()) == []
