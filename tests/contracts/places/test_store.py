"""Objects in a store: of several writers one succeeds, lost answers change nothing, and credentials stay secret."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from camoe.contracts.errors import SnapshotError
from camoe.contracts.places.store import Found, PlaceError, is_address, open_place
from tests.object_store import KEY_ID, SECRET, TOKEN, always, nth

WRITERS = 6
ADDRESS = "s3://lake/places"


@pytest.fixture
def place(store, request):
    return open_place(f"{ADDRESS}/{request.node.originalname}")


def test_objects_are_written_read_listed_and_deleted(place, tmp_path):
    large = tmp_path / "large"
    large.write_bytes(bytes(range(256)) * 40_000)
    place.upload("a/large", large)
    assert place.create("a/b.json", b"{}")
    assert place.create("c.json", b"")
    assert place.names() == ["a/b.json", "a/large", "c.json"]
    assert place.names("a") == ["a/b.json", "a/large"]
    assert place.read("a/b.json").content == b"{}"
    copy = tmp_path / "copy"
    assert place.download("a/large", copy) == hashlib.sha256(large.read_bytes()).hexdigest()
    assert copy.read_bytes() == large.read_bytes()
    place.delete(["a/b.json", "a/large", "never"])
    assert place.names() == ["c.json"]
    assert place.read("a/b.json") is None
    with pytest.raises(FileNotFoundError):
        place.download("a/large", copy)


def test_of_those_that_create_an_object_at_once_one_does(place):
    with ThreadPoolExecutor(WRITERS) as pool:
        for number in range(10):
            name, writers = f"{number}.json", [json.dumps({"writer": writer}).encode() for writer in range(WRITERS)]
            done = [*pool.map(lambda content, name=name: place.create(name, content), writers)]
            assert sum(done) == 1
            assert place.read(name).content == writers[done.index(True)]


def test_no_change_is_lost_of_those_that_replace_an_object_at_once(place):
    assert place.create("count.json", b'{"by": -1, "count": 0}')

    def count(writer):
        done = 0
        while done < 5:
            found = place.read("count.json")
            content = json.dumps({"by": writer, "count": json.loads(found.content)["count"] + 1}).encode()
            done += place.replace("count.json", content, found.tag)
        return done

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(count, range(4))) == 20
    assert json.loads(place.read("count.json").content)["count"] == 20


def test_what_was_replaced_or_deleted_meanwhile_is_not_replaced(place):
    assert place.create("a", b"1")
    first = place.read("a")
    assert place.replace("a", b"2", first.tag)
    assert not place.replace("a", b"3", first.tag)
    second = place.read("a")
    assert second == Found(b"2", second.tag)
    place.delete(["a"])
    assert not place.replace("a", b"4", second.tag)
    assert place.read("a") is None


@pytest.mark.parametrize("fault", ["lost", "503 SlowDown"])
def test_a_writer_whose_answer_is_lost_has_written_once(store, place, fault, capsys):
    """What the store has done before the answer is lost is the writer's own doing at the second try."""
    store.fault = nth(0, fault, "PUT ")
    name = fault.split()[0]
    assert place.create(name, b"mine")
    assert store.done == [fault]
    before = place.read(name)
    store.fault = nth(0, fault, "PUT ")
    assert place.replace(name, b"mine again", before.tag)
    assert place.read(name).content == b"mine again"
    assert not place.create(name, b"another one's")
    assert "lost the connection at try 1 of 4" in capsys.readouterr().err


def test_a_read_that_is_cut_is_tried_again(store, place, tmp_path):
    assert place.create("a", bytes(1_000_000))
    store.fault = nth(0, "cut", "GET ")
    assert place.read("a").content == bytes(1_000_000)
    store.fault = nth(0, "cut", "GET ")
    assert place.download("a", tmp_path / "a") == hashlib.sha256(bytes(1_000_000)).hexdigest()
    assert store.done == ["cut", "cut"]


@pytest.mark.parametrize(
    ("fault", "advice"),
    [
        ("503 SlowDown", "connection lost at each of 2 tries: .*; try again when the store answers"),
        ("403 AccessDenied", "; look at the address, region, credentials and rights that this process has for it"),
    ],
)
def test_a_store_that_refuses_is_named_without_credentials(store, fault, advice, capfd):
    place = open_place(ADDRESS, retries=1)
    store.fault = always(fault, "")
    for ask in (lambda: place.create("a", b""), lambda: place.read("a"), place.names):
        with pytest.raises(PlaceError, match=rf"{ADDRESS}/.*: the store fails \(.*{advice}$") as caught:
            ask()
        told = [str(caught.value), repr(caught.value.__cause__), *capfd.readouterr()]
        assert not any(secret in text for text in told for secret in (KEY_ID, SECRET, TOKEN))


@pytest.mark.parametrize("address", [f"s3://{KEY_ID}:{SECRET}@lake/t", "s3://", "gs://lake/t", "lake/t"])
def test_what_is_no_address_is_refused_unrepeated(address):
    with pytest.raises(PlaceError, match="reads s3://bucket/path") as caught:
        open_place(address)
    assert SECRET not in str(caught.value)


def test_addresses_are_told_from_paths(monkeypatch):
    assert is_address("s3://lake/t")
    assert not is_address("s3/t")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://host")
    monkeypatch.delenv("AWS_ALLOW_HTTP", raising=False)
    with pytest.raises(SnapshotError, match="AWS_ALLOW_HTTP=true"):
        open_place(ADDRESS)
