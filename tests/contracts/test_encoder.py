"""The encoder only ever grows, and what is read is what was written."""

from __future__ import annotations

import os
import shutil
from datetime import date

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camoe.contracts import encoder as encoders
from camoe.contracts.encoder import EMPTY, FIRST, EncoderError

fits = st.lists(st.dictionaries(st.sampled_from("fgh"), st.lists(st.text(max_size=3), unique=True)), max_size=5)


@given(fits)
def test_growing_never_renumbers(fitted):
    encoder = EMPTY
    for values in fitted:
        grown = encoder.grow(values)
        for feature, known in encoder.values.items():
            assert grown.values[feature][: len(known)] == known
        for feature, wanted in values.items():
            assert set(wanted) <= set(grown.values[feature])
            assert len(set(grown.values[feature])) == len(grown.values[feature])
        encoder = grown


def test_what_is_read_is_what_was_written(tmp_path):
    one = EMPTY.grow({"genre": ["jazz", "", "ü"], "empty": []})
    two = one.grow({"genre": ["rock", "jazz"]})
    encoders.write(one, tmp_path)
    encoders.write(two, tmp_path)
    assert encoders.read(tmp_path, 1) == one
    assert encoders.read(tmp_path) == two
    assert two.size("genre") == FIRST + 4


def test_nothing_new_is_no_new_version():
    one = EMPTY.grow({"genre": ["jazz"]})
    assert one.grow({"genre": ["jazz"]}) is one


EARLY, LATE = (date(2026, 1, 1), date(2026, 1, 2)), (date(2026, 1, 1), date(2026, 1, 4))


def test_a_version_hides_what_its_training_days_do_not_have_from_its_models_alone(tmp_path):
    late = encoders.append_version({"genre": ["jazz", "folk", "rock"]}, tmp_path, LATE)
    early = encoders.append_version({"genre": ["rock", "jazz"]}, tmp_path, EARLY)
    assert (late.hidden, late.shown("genre")) == ({}, ("jazz", "folk", "rock"))
    assert (early.values, early.hidden) == (late.values, {"genre": (FIRST + 1,)})
    assert early.shown("genre") == ("jazz", "rock")
    assert encoders.read(tmp_path) == early != late
    assert encoders.append_version({"genre": ["rock", "jazz"]}, tmp_path, EARLY) == early
    # Each range of days has its own, whichever is the newest.
    assert encoders.read_fitted_on(tmp_path, LATE, early) == late
    assert encoders.read_fitted_on(tmp_path, EARLY, early) == early
    with pytest.raises(EncoderError, match=r"fitted on the training days 2026-01-01 to 2026-01-03.*build_features"):
        encoders.read_fitted_on(tmp_path, (date(2026, 1, 1), date(2026, 1, 3)), early)


def test_a_model_knows_no_value_that_the_encoder_of_its_rows_did_not_have(tmp_path):
    wrote = encoders.append_version({"genre": ["jazz", "folk"]}, tmp_path, EARLY)
    encoders.append_version({"genre": ["rock"]}, tmp_path, LATE)
    read = encoders.read_fitted_on(tmp_path, LATE, wrote)
    assert (read.values, read.shown("genre")) == ({"genre": ("jazz", "folk")}, ())


def test_an_encoder_that_does_not_say_its_days_is_for_all_of_them(tmp_path):
    told_nothing = encoders.append_version({"genre": ["jazz"]}, tmp_path)
    assert encoders.read_fitted_on(tmp_path, EARLY, told_nothing) == told_nothing


def test_a_changed_vocabulary_is_refused(tmp_path):
    folder = encoders.write(EMPTY.grow({"genre": ["jazz", "rock"]}), tmp_path)
    table = pq.read_table(folder / "vocabulary.parquet")
    pq.write_table(table.slice(0, 1), folder / "vocabulary.parquet")
    with pytest.raises(EncoderError, match="does not match its hash"):
        encoders.read(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("vocabulary.parquet", b"PAR1"),
        ("vocabulary.parquet", None),
        ("encoder.json", b"{"),
        ("encoder.json", b"{}"),
        ("encoder.json", None),
    ],
)
def test_a_damaged_newest_version_is_no_obstacle_once_its_folder_is_removed(tmp_path, name, content):
    one = encoders.append_version({"genre": ["jazz"]}, tmp_path)
    encoders.append_version({"genre": ["jazz", "rock"]}, tmp_path)
    if content is None:
        (tmp_path / "v2" / name).unlink()
    else:
        (tmp_path / "v2" / name).write_bytes(content)
    with pytest.raises(EncoderError, match=r"v2 is damaged .*; restore that folder, or remove it, so that the version"):
        encoders.append_version({"genre": ["folk"]}, tmp_path)
    assert encoders.read(tmp_path, 1) == one
    shutil.rmtree(tmp_path / "v2")
    assert encoders.append_version({"genre": ["folk"]}, tmp_path).values == {"genre": ("jazz", "folk")}


def test_a_version_is_whole_on_disk_before_it_has_its_name(tmp_path, monkeypatch):
    synced, sync = {}, os.fsync

    def noted(descriptor):
        sync(descriptor)
        status = os.fstat(descriptor)
        synced[status.st_ino] = status.st_size

    monkeypatch.setattr(os, "fsync", noted)
    folder = encoders.write(EMPTY.grow({"genre": ["jazz"]}), tmp_path)
    for path in folder.iterdir():
        assert synced[path.stat().st_ino] == path.stat().st_size


def test_a_missing_encoder_names_the_job_to_run(tmp_path):
    with pytest.raises(EncoderError, match=r"no encoder at .*; run jobs/build_features.py first"):
        encoders.read(tmp_path)
