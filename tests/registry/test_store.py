"""The registry on disk: whole before and after each change, whoever is killed in it, and with copies of its own."""

from __future__ import annotations

import shutil
from functools import partial

import pytest

from camoe.bundle.manifest import WEIGHTS, open_bundle, read_manifest
from camoe.contracts.errors import BundleError
from camoe.contracts.layout import Layout
from camoe.contracts.places.leases import leased
from camoe.contracts.runs import lock_of
from camoe.model.camoe import Camoe
from camoe.registry.changes import change_now, promoted, retired
from camoe.registry.lines import listed
from camoe.registry.named import named_model, scoring_it, shadows
from camoe.registry.record import RegistryError
from camoe.registry.store import FILE, change, copies, read_registry
from camoe.train.checkpoint.needed import needed_versions
from tests.killed import killed_at_each
from tests.model.specs import MOMENTS, SPEC
from tests.registry.second import write_second
from tests.score.small import write

pytestmark = pytest.mark.bundle

# Operations between which the disk is another one.
CHANGING = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.copyfile", "shutil.rmtree")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An output folder with the bundles of two models, the newest last."""
    layout = Layout(tmp_path_factory.mktemp("made"))
    write(layout.bundle, Camoe(SPEC, MOMENTS), SPEC)
    write_second(layout.bundle)
    return layout


@pytest.fixture
def layout(made, tmp_path):
    shutil.copytree(made.root, tmp_path / "out", symlinks=True)
    return Layout(tmp_path / "out", tmp_path / "lake")


def bundles(layout):
    return sorted((layout.root / "bundles").iterdir())


def promote(layout, bundle, state="champion"):
    made = change_now("promote", read_manifest(bundle).model_version, state, "as it is")
    return change(layout, partial(promoted, change=made, origin=str(bundle)), bundle)


def test_a_promoted_model_has_a_copy_of_its_own(layout):
    first = bundles(layout)[0]
    version = read_manifest(first).model_version
    assert named_model(layout).version == read_manifest(layout.bundle).model_version
    promote(layout, first)
    shutil.rmtree(layout.root / "bundles")
    assert named_model(layout) == named_model(layout, "champion") == named_model(layout, version)
    assert open_bundle(named_model(layout).folder).manifest.model_version == version
    assert [why for _, why in needed_versions(layout)] == [f"model {version} was trained on it"]


def test_names_of_models(layout):
    first, second = bundles(layout)
    old, new = (read_manifest(bundle).model_version for bundle in (first, second))
    with pytest.raises(RegistryError, match=r"there is no champion yet; jobs/models.py promote"):
        named_model(layout, "champion")
    promote(layout, first)
    promote(layout, second, "shadow")
    assert named_model(layout).version == old
    assert named_model(layout, "newest").version == named_model(layout, str(second)).version == new
    assert [model.version for model in shadows(layout)] == [new]
    assert shadows(layout)[0].folder == copies(layout.models, read_registry(layout.models))[new]
    with pytest.raises(BundleError, match="no bundle of model 0123456789ab is known"):
        _ = named_model(layout, "0123456789ab").folder


def test_what_comes_after_a_training_scores_its_model(layout):
    first, second = bundles(layout)
    assert scoring_it(layout) == ""
    promote(layout, first)
    assert scoring_it(layout) == " --model newest"
    promote(layout, second)
    assert scoring_it(layout) == ""


def test_a_listing_has_the_candidates_beside_the_registry_and_who_changed_what(layout):
    first, second = bundles(layout)
    promote(layout, first)
    lines = list(listed(layout))
    assert [line.split()[:2] for line in lines[:2]] == [
        [read_manifest(first).model_version, "champion"],
        [read_manifest(second).model_version, "candidate"],
    ]
    assert " promote " in lines[-1]
    assert lines[-1].endswith(": as it is")


def test_a_change_that_is_killed_leaves_the_registry_before_or_the_one_after(layout):
    first, second = bundles(layout)
    old, new = (read_manifest(bundle).model_version for bundle in (first, second))
    promote(layout, first)
    found, through = [], []

    def again():
        if read_registry(layout.models).champion == old:
            promote(layout, second)

    for done in killed_at_each(again, CHANGING):
        registry = read_registry(layout.models)
        through.append(done)
        found.append(registry.champion)
        # Whatever the registry names can be scored with.
        assert open_bundle(named_model(layout).folder).manifest.model_version == registry.champion
        assert len(registry.changes) == len(registry.line)
    assert set(found) == {old, new}
    assert through[-1]
    third = change_now("retire", old, "retired", None)
    change(layout, partial(retired, change=third, delete=True))
    assert sorted(path.name for path in layout.models.iterdir()) == sorted([new, FILE])


def test_a_change_whose_bundle_is_damaged_changes_nothing(layout):
    first, second = bundles(layout)
    promote(layout, first)
    before = read_registry(layout.models)
    (second / WEIGHTS).write_bytes(b"")
    with pytest.raises(BundleError, match="is not the file that training wrote"):
        promote(layout, second)
    assert read_registry(layout.models) == before
    assert len(list(layout.models.iterdir())) == 2


def test_two_changes_at_once_are_refused(layout):
    with (
        leased(lock_of(layout.runs, "the models"), "change", RegistryError),
        pytest.raises(RegistryError, match="at work"),
    ):
        promote(layout, bundles(layout)[0])


def test_a_damaged_registry_is_refused_by_name(layout):
    layout.models.mkdir(parents=True)
    (layout.models / FILE).write_text("{")
    with pytest.raises(RegistryError, match=r"registry.json is damaged \(1 errors\)"):
        named_model(layout)


def test_folders_of_others_stay(layout):
    promote(layout, bundles(layout)[0])
    (layout.models / "notes").mkdir()
    promote(layout, bundles(layout)[1])
    assert (layout.models / "notes").is_dir()
