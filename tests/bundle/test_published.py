"""Bundles in an object store: what an address serves is whole, of one publication, and copied once."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from camoe.bundle import manifest as names
from camoe.bundle.published import POINTER, fetched, publish
from camoe.contracts.errors import BundleError
from camoe.contracts.places.store import PlaceError, open_place
from tests.bundle.hollow import write_hollow
from tests.object_store import SECRET, always, nth


@pytest.fixture
def store(server, tmp_path, monkeypatch):
    """The store's proxy; copies of bundles lie under the test's own folder."""
    monkeypatch.setenv("CAMOE_CACHE", str(tmp_path / "cache"))
    server.begin()
    yield server
    server.begin()


@pytest.fixture
def address(store, request):
    return f"s3://lake/{request.node.originalname}"


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_published_is_fetched_once_as_it_was(store, address, tmp_path):
    first, second = write_hollow(tmp_path / "first"), write_hollow(tmp_path / "second", b"2")
    publish(first, address)
    one = fetched(address)
    assert files(one) == files(first)
    names.open_bundle(one)
    store.lines.clear()
    assert fetched(f"{address}/") == one
    assert not [line for line in store.lines if names.WEIGHTS in line]
    made = publish(second, address)
    assert made.model_version == names.read_manifest(second).model_version
    assert files(fetched(address)) == files(second)
    assert files(one) == files(first)
    publish(first, address)
    assert fetched(address) == one
    assert not [path for path in one.parent.iterdir() if not path.is_dir()]


def test_a_bundle_that_was_copied_there_as_it_is_is_served(store, address, tmp_path):
    bundle, place = write_hollow(tmp_path / "bundle"), open_place(address)
    for name in files(bundle):
        place.upload(name, bundle / name)
    assert files(fetched(address)) == files(bundle)


def test_local_bundles_are_where_they_are(tmp_path):
    assert fetched(tmp_path) == fetched(f"file://{tmp_path}") == tmp_path
    with pytest.raises(BundleError, match="a local folder or at s3://bucket/path"):
        fetched(f"gs://me:{SECRET}@lake/x")


def test_of_those_that_publish_at_once_one_is_served_and_the_others_are_told(store, address, tmp_path):
    bundles = [write_hollow(tmp_path / str(number), str(number).encode()) for number in range(4)]

    def published(bundle):
        try:
            return publish(bundle, address)
        except BundleError as error:
            assert "another process published" in str(error)
            return None

    publish(bundles[0], address)
    with ThreadPoolExecutor(len(bundles)) as pool:
        done = [made for made in pool.map(published, bundles) if made]
    last = json.loads(open_place(address).read(POINTER).content)
    assert last["token"] in {made.token for made in done}
    assert names.read_manifest(fetched(address)).model_version == last["model_version"]


@pytest.mark.parametrize("number", [0, 7, 8, 9])
def test_a_publication_that_stops_anywhere_leaves_what_was_served(store, address, tmp_path, number):
    """The first request that writes fails, that of the manifest, that of the object that counts, and none."""
    at = f"{address}-{number}"
    first, second = write_hollow(tmp_path / "first"), write_hollow(tmp_path / "second", b"2")
    publish(first, at)
    store.lines.clear()
    store.fault = nth(number, "403 AccessDenied", "PUT ")
    if number < len(files(second)) + 1:
        with pytest.raises(PlaceError, match="privileges"):
            publish(second, at)
        assert files(fetched(at)) == files(first)
    else:
        publish(second, at)
        assert not store.done
    store.begin()
    publish(second, at)
    assert files(fetched(at)) == files(second)


def test_lost_answers_and_connections_change_nothing(store, address, tmp_path):
    bundle = write_hollow(tmp_path / "bundle")
    store.fault = nth(0, "lost", f"PUT /lake/{address.rpartition('/')[2]}/{POINTER}")
    publish(bundle, address)
    store.fault = nth(0, "cut", f"GET /lake/{address.rpartition('/')[2]}/bundles")
    assert files(fetched(address)) == files(bundle)
    assert store.done == ["lost", "cut"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda place, folder: place.delete([f"{folder}/{names.WEIGHTS}"]), "weights.safetensors is missing"),
        (lambda place, folder: place.delete([f"{folder}/{names.MANIFEST}"]), "no model bundle at s3://lake/"),
        (lambda place, folder: overwrite(place, f"{folder}/{names.WEIGHTS}", b"0"), "is not the file that training"),
        (lambda place, folder: overwrite(place, f"{folder}/{names.MANIFEST}", b"{}"), "is not the one that was publis"),
        (
            lambda place, _folder: overwrite(place, POINTER, b"{}"),
            r"published.json is damaged \(5 errors\); publish it",
        ),
    ],
)
def test_what_is_damaged_is_named_and_not_kept(store, address, tmp_path, damage, message):
    place = open_place(address)
    made = publish(write_hollow(tmp_path / "bundle"), address)
    damage(place, made.folder)
    with pytest.raises(BundleError, match=message):
        fetched(address)
    assert not [path for path in (tmp_path / "cache").glob("*") if path.is_dir()]


def overwrite(place, name, content):
    found = place.read(name)
    assert place.replace(name, content, found.tag)


@pytest.mark.parametrize("name", ["../outside", "/outside", "a/../../outside"])
def test_no_file_is_written_outside_of_the_copy(store, address, tmp_path, name):
    bundle = write_hollow(tmp_path / "bundle")
    manifest = names.read_manifest(bundle)
    place = open_place(f"{address}-{len(name)}")
    place.create(names.MANIFEST, manifest.model_copy(update={"files": {name: "0"}}).model_dump_json().encode())
    with pytest.raises(BundleError, match="names a file outside of the bundle"):
        fetched(place.address)
    assert not [path for path in tmp_path.rglob("*") if path.name == "outside"]


def test_an_address_without_a_bundle_and_a_broken_one_that_is_published(store, address, tmp_path):
    with pytest.raises(BundleError, match=rf"no model bundle at {address}; jobs/train.py writes one"):
        fetched(address)
    bundle = write_hollow(tmp_path / "bundle")
    (bundle / names.WEIGHTS).unlink()
    with pytest.raises(BundleError, match="is missing"):
        publish(bundle, address)
    assert open_place(address).names() == []


def test_a_cache_that_cannot_be_written_is_named(store, address, tmp_path, monkeypatch):
    publish(write_hollow(tmp_path / "bundle"), address)
    (tmp_path / "file").touch()
    monkeypatch.setenv("CAMOE_CACHE", str(tmp_path / "file"))
    with pytest.raises(BundleError, match="let CAMOE_CACHE name a folder that can be written"):
        fetched(address)


def test_a_refusal_tells_no_credentials(store, address, tmp_path):
    store.fault = always("403 AccessDenied", "")
    with pytest.raises(PlaceError) as caught:
        publish(write_hollow(tmp_path / "bundle"), address)
    assert SECRET not in str(caught.value)
