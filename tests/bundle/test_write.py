"""A bundle that the disk does not take."""

from __future__ import annotations

import pytest

from camoe.bundle.write import Origin, write_bundle
from camoe.contracts.encoder import Encoder
from camoe.contracts.errors import TrainingError
from camoe.contracts.snapshot import Snapshot
from camoe.model.camoe import Camoe
from tests.disk import FULL, small_disk
from tests.model.test_camoe import MOMENTS, SPEC
from tests.score.pipeline import CALIBRATION, METRICS


def test_on_a_full_disk_the_bundle_before_stays_and_the_message_says_what_to_do(tmp_path):
    spec = SPEC.model_copy(update={"vocabulary_sizes": (60_000, 9)})
    origin = Origin(Snapshot("/t", 3, (), {}, ()), Encoder(1, {}), "confighash")
    with small_disk(tmp_path / "disk") as disk:
        target = disk / "bundle"
        target.mkdir()
        (target / "manifest.json").write_text("the model before")
        with pytest.raises(TrainingError) as error:
            write_bundle(target, Camoe(spec, MOMENTS), spec, origin, METRICS, calibration=CALIBRATION)
        assert f"the bundle could not be written to {target}: " in str(error.value)
        assert any(reason in str(error.value) for reason in FULL)
        assert "make room there, then --resume" in str(error.value)
        assert [path.name for path in disk.iterdir()] == ["bundle"]
        assert (target / "manifest.json").read_text() == "the model before"
