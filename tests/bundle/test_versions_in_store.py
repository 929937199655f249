"""The bundles of an output folder in an object store: the newest is served, and those before stay for a while."""

from __future__ import annotations

import subprocess
import sys

import pytest

from camoe.bundle.manifest import MANIFEST, open_bundle, read_manifest
from camoe.bundle.published import fetched
from camoe.bundle.versions import current, home, named_by, new_version, versions
from camoe.contracts.errors import BundleError
from camoe.contracts.places.objects import path_at
from tests.bundle.hollow import write_version
from tests.killed import killed_at_each_request
from tests.paths import ROOT

WRITE = """
import sys
from tests.bundle.hollow import write_version
from camoe.contracts.places.objects import path_at
write_version(path_at(sys.argv[1]), int(sys.argv[2]))
"""


@pytest.fixture
def link(store, tmp_path, request, monkeypatch):
    """The address of the bundle of an output folder."""
    monkeypatch.setenv("CAMOE_CACHE", str(tmp_path / "cache"))
    return path_at(f"s3://lake/{request.node.originalname}/bundle")


def test_the_newest_is_served_and_those_before_stay_until_they_are_too_old(link):
    assert current(link) is None
    assert versions(link) == []
    with pytest.raises(BundleError, match="no model bundle at s3://"):
        named_by(link)
    made = [write_version(link, number) for number in (1, 2, 3)]
    assert current(link) == made[-1]
    assert open_bundle(named_by(link)).manifest == made[-1]
    assert fetched(str(link)) == named_by(link)
    there = [read_manifest(path).model_version for path in versions(link)]
    assert len(there) == 2
    assert made[-1].model_version in there
    # One that is there already is served again.
    assert write_version(link, 2) == current(link)


def test_one_that_cannot_be_made_leaves_the_one_before(link):
    made = write_version(link, 1)
    with pytest.raises(ZeroDivisionError), new_version(link, 2):
        _ = 1 / 0
    assert current(link) == made
    assert len(versions(link)) == 1


@pytest.mark.slow
def test_a_writer_that_is_killed_leaves_the_one_before_or_the_new_one(server, link):
    before = write_version(link, 1)

    def start(number):
        command = [sys.executable, "-c", WRITE, str(link), str(number + 2)]
        return subprocess.Popen(command, cwd=ROOT)

    served = []
    for _ in killed_at_each_request(server, start):
        made = open_bundle(named_by(link)).manifest
        served.append(made != before)
        before = made
        assert made.model_version in {read_manifest(path).model_version for path in versions(link)}
        for path in versions(link):
            open_bundle(fetched(path))
    assert {True, False} <= set(served)
    assert [path.name for path in home(link).glob(f"*/{MANIFEST}")] == [MANIFEST] * 2
