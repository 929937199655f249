"""Shifts of features without Spark are those that the feature report has of the same days."""

from __future__ import annotations

import json

import pytest

from camoe.config.pipeline import Config
from camoe.contracts import encoder as encoders
from camoe.contracts.config_file import load
from camoe.contracts.runs import active_records, encoder_version
from camoe.contracts.snapshot import logged
from features.report.drift import feature_shifts

pytestmark = pytest.mark.spark


def test_they_are_those_of_the_report(clean_build):
    config = load(clean_build / "config.yaml", Config)
    layout, days = config.layout, config.days
    records = active_records(logged(layout.training), layout.runs)
    encoder = encoders.read(layout.encoder, encoder_version(records))
    report = json.loads((layout.feature_report / "features.json").read_text())
    asked = {"features": config.features, "encoder": encoder, "reference": days.train.days()}
    for group, some in (("test", days.test.days()), ("training", days.train.days())):
        found = feature_shifts(layout.profiles, records, some, **asked)
        assert found == {one["name"]: one["groups"][group] for one in report["features"]}
        assert all(one["rows"] for one in found.values())


def test_days_without_profiles_have_none(clean_build, tmp_path):
    config = load(clean_build / "config.yaml", Config)
    records = active_records(logged(config.layout.training), config.layout.runs)
    asked = {"features": config.features, "encoder": encoders.Encoder(0, {}), "reference": config.days.train.days()}
    assert feature_shifts(tmp_path, records, config.days.test.days(), **asked) == {}
    assert feature_shifts(config.layout.profiles, {}, config.days.test.days(), **asked) == {}
