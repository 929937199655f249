"""A bundle is written whole or not at all, and the same model makes the same one."""

from __future__ import annotations

import pytest
import torch

from camoe.bundle import manifest as names
from camoe.bundle.manifest import identity
from camoe.bundle.versions import versions
from camoe.bundle.write import Origin, write_bundle
from camoe.config.pipeline import Config
from camoe.contracts.encoder import Encoder
from camoe.contracts.errors import TrainingError
from camoe.contracts.snapshot import Snapshot
from camoe.model.camoe import Camoe
from tests.disk import FULL, small_disk
from tests.model.specs import MOMENTS, SPEC
from tests.score.pipeline import CALIBRATION, METRICS
from tests.train.pipeline import CONFIG

TRAINED = Config.model_validate({**CONFIG, "out": "out/x"})
TOO_LARGE = SPEC.model_copy(update={"vocabulary_sizes": (60_000, 9)})


def write(link, spec, **options):
    torch.manual_seed(1)
    origin = Origin(Snapshot("/t", 3, (), {}, ()), Encoder(1, {}), TRAINED)
    return write_bundle(link, Camoe(spec, MOMENTS), spec, origin, METRICS, calibration=CALIBRATION, keep=3, **options)


def listed(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.slow
def test_the_same_weights_have_the_same_version_wherever_they_are_written(tmp_path):
    told = []
    one, two = (write(tmp_path / name / "bundle", SPEC, alive=told.append) for name in ("one", "two"))
    assert told == 2 * ["writing the graphs of heads 1 to 2 of 2", "completing the bundle"]
    assert one.model_version == two.model_version
    assert one.files == two.files


def test_whatever_a_prediction_is_made_of_changes_the_version(tmp_path):
    """Weights, graphs, calibration, vocabulary, and the specification, in which the experts that are served stand."""
    made = write(tmp_path / "bundle", SPEC)
    told_alone = {names.METRICS, names.CONFIG, names.CARD}
    made_of = {names.SPEC, names.WEIGHTS, names.CALIBRATION, *(names.graph_name(name) for name in ("audio", "video"))}
    assert made_of | told_alone < made.files.keys()
    assert identity(made.files) == made.model_version
    same = {name for name in made.files if identity({**made.files, name: "0" * 64}) == made.model_version}
    assert same == told_alone
    kept = SPEC.model_copy(update={"kept_experts": (((0,), (1,)),)})
    assert kept.model_dump_json() != SPEC.model_dump_json()


def test_weights_that_are_not_finite_make_no_bundle(tmp_path):
    link = tmp_path / "bundle"
    model = Camoe(SPEC, MOMENTS)
    with torch.no_grad():
        model.embedding.table.weight[0, 0] = float("inf")
    origin = Origin(Snapshot("/t", 3, (), {}, ()), Encoder(1, {}), TRAINED)
    with pytest.raises(TrainingError, match=r"embedding\.table\.weight: not finite, so no bundle was written"):
        write_bundle(link, model, SPEC, origin, METRICS, calibration=CALIBRATION, keep=1)
    assert listed(tmp_path) == []


def test_on_a_full_disk_the_bundle_before_stays_and_the_message_says_what_to_do(tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        link = disk / "bundle"
        link.mkdir()
        (link / "manifest.json").write_text("the model before")
        with pytest.raises(TrainingError) as error:
            write(link, TOO_LARGE)
        assert f"the bundle could not be written to {link}: " in str(error.value)
        assert any(reason in str(error.value) for reason in FULL)
        assert "make room there, then --resume" in str(error.value)
        assert (link / "manifest.json").read_text() == "the model before"
        assert versions(link) == []
        assert listed(disk / "bundles") == []
