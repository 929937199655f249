"""The registry in an object store: whole before and after each change, and each model that it names has its copy."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial

import pytest

from camoe.bundle.manifest import open_bundle, read_manifest
from camoe.bundle.versions import new_version, versions
from camoe.contracts.layout import Layout
from camoe.contracts.places.objects import path_at
from camoe.model.camoe import Camoe
from camoe.registry import store as registries
from camoe.registry.changes import change_now, promoted, retired
from camoe.registry.lines import listed
from camoe.registry.named import named_model, scoring_it, shadows
from camoe.registry.record import RegistryError
from camoe.registry.store import change, copies, read_registry
from camoe.train.checkpoint.needed import needed_versions
from tests.killed import killed_at_each_request
from tests.model.specs import MOMENTS, SPEC
from tests.paths import ROOT
from tests.registry.second import write_second
from tests.score.small import write

pytestmark = [pytest.mark.bundle, pytest.mark.slow]

PROMOTE = """
import sys
from functools import partial
from camoe.contracts.layout import Layout
from camoe.contracts.places.objects import path_at
from camoe.registry.changes import change_now, promoted
from camoe.registry.named import named_model
from camoe.registry.store import change
layout = Layout(path_at(sys.argv[1]))
model, made = named_model(layout, sys.argv[2]), change_now("promote", sys.argv[2], "champion", "as it is")
change(layout, partial(promoted, change=made, origin=str(model.folder)), model.folder)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The bundles of two models on a disk."""
    layout = Layout(tmp_path_factory.mktemp("made"))
    write(layout.bundle, Camoe(SPEC, MOMENTS), SPEC)
    write_second(layout.bundle)
    return [path.resolve() for path in versions(layout.bundle)]


@pytest.fixture
def layout(server, made, tmp_path, request, monkeypatch):
    """An output folder in the store with these bundles, the second served."""
    monkeypatch.setenv("CAMOE_CACHE", str(tmp_path / "cache"))
    server.begin()
    layout = Layout(path_at(f"s3://lake/{request.node.originalname}"))
    for bundle in made:
        with new_version(layout.bundle, 5) as folder:
            shutil.copytree(bundle, folder, dirs_exist_ok=True)
    yield layout
    server.begin()


def promote(layout, version, state="champion"):
    model = named_model(layout, version)
    made = change_now("promote", model.version, state, "as it is")
    return change(layout, partial(promoted, change=made, origin=str(model.folder)), model.folder)


def test_models_are_promoted_named_and_retired(layout, made):
    first, second = (read_manifest(bundle).model_version for bundle in made)
    assert named_model(layout).version == second
    promote(layout, first)
    promote(layout, second, "shadow")
    assert named_model(layout).version == first
    assert [model.version for model in shadows(layout)] == [second]
    assert scoring_it(layout) == " --model newest"
    assert {why for _, why in needed_versions(layout)} == {
        f"model {version} was trained on it" for version in (first, second)
    }
    assert [line.split()[1] for line in listed(layout)][:2] == ["champion", "shadow"]
    # The copies are the registry's own.
    layout.bundle.remove()
    for version in (first, second):
        assert open_bundle(named_model(layout, version).folder).manifest.model_version == version
    change(layout, partial(retired, change=change_now("retire", second, "retired", None), delete=True))
    assert not (layout.models / second).exists()
    assert named_model(layout, second).bundle is None


def test_of_changes_at_once_those_that_are_refused_changed_nothing(layout, made, monkeypatch):
    """Also where a lease does not hold them apart, as when a process was away for long."""
    monkeypatch.setattr(registries, "leased", lambda *_: nullcontext())
    names = [read_manifest(bundle).model_version for bundle in made]

    def attempt(number):
        try:
            promote(layout, names[number % 2], ["shadow", "champion"][number // 2])
        except RegistryError:
            return 0
        return 1

    with ThreadPoolExecutor(4) as pool:
        done = sum(pool.map(attempt, range(4)))
    registry = read_registry(layout.models)
    assert len(registry.changes) == done > 0
    for version in copies(layout.models, registry):
        assert open_bundle(named_model(layout, version).folder).manifest.model_version == version


def test_a_change_that_is_killed_leaves_the_registry_before_or_the_one_after(server, layout, made):
    first, second = (read_manifest(bundle).model_version for bundle in made)
    promote(layout, first)
    found = []

    def start(number):
        known = read_registry(layout.models).champion
        wanted = second if known == first else first
        return subprocess.Popen([sys.executable, "-c", PROMOTE, str(layout.root), wanted], cwd=ROOT)

    for _ in killed_at_each_request(server, start):
        registry = read_registry(layout.models)
        found.append(registry.champion)
        assert open_bundle(named_model(layout).folder).manifest.model_version == registry.champion
        assert len(registry.changes) == len(registry.line)
    assert set(found) == {first, second}
