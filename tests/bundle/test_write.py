"""A bundle that the disk does not take."""

from __future__ import annotations

import pytest

from camoe.bundle.manifest import file_hashes, read_manifest
from camoe.bundle.write import Origin, write_bundle
from camoe.config.pipeline import Config
from camoe.contracts.encoder import Encoder
from camoe.contracts.errors import BundleError, TrainingError
from camoe.contracts.snapshot import Snapshot
from camoe.model.camoe import Camoe
from tests.disk import FULL, small_disk
from tests.model.specs import MOMENTS, SPEC
from tests.score.pipeline import CALIBRATION, METRICS
from tests.train.pipeline import CONFIG

TRAINED = Config.model_validate({**CONFIG, "out": "out/x"})
TOO_LARGE = SPEC.model_copy(update={"vocabulary_sizes": (60_000, 9)})


def write(target, spec):
    origin = Origin(Snapshot("/t", 3, (), {}, ()), Encoder(1, {}), TRAINED)
    return write_bundle(target, Camoe(spec, MOMENTS), spec, origin, METRICS, calibration=CALIBRATION)


def test_a_kill_between_the_two_renames_loses_no_bundle(tmp_path):
    """What such a kill leaves: the bundle before under its other name, and the new one under a third."""
    with small_disk(tmp_path / "disk") as disk:
        before = disk / ".bundle-old"
        for folder in (before, disk / ".bundle-staging"):
            folder.mkdir()
            (folder / "manifest.json").write_text(f"of {folder.name}")
        with pytest.raises(BundleError, match=rf"ended while it replaced the one before, which is {before};"):
            read_manifest(disk / "bundle")
        with pytest.raises(TrainingError, match="could not be written"):
            write(disk / "bundle", TOO_LARGE)
        assert [path.name for path in disk.iterdir()] == ["bundle"]
        assert (disk / "bundle/manifest.json").read_text() == "of .bundle-old"


def test_a_bundle_takes_the_place_of_the_one_before(tmp_path):
    (tmp_path / "bundle").mkdir()
    manifest = write(tmp_path / "bundle", SPEC)
    assert read_manifest(tmp_path / "bundle") == manifest
    assert manifest.files == file_hashes(tmp_path / "bundle")
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_on_a_full_disk_the_bundle_before_stays_and_the_message_says_what_to_do(tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        target = disk / "bundle"
        target.mkdir()
        (target / "manifest.json").write_text("the model before")
        with pytest.raises(TrainingError) as error:
            write(target, TOO_LARGE)
        assert f"the bundle could not be written to {target}: " in str(error.value)
        assert any(reason in str(error.value) for reason in FULL)
        assert "make room there, then --resume" in str(error.value)
        assert [path.name for path in disk.iterdir()] == ["bundle"]
        assert (target / "manifest.json").read_text() == "the model before"
