"""The commit of a run to the training table: made once, however often it is tried."""

from __future__ import annotations

from datetime import date

import pytest
from deltalake import DeltaTable
from pyspark.sql import functions as F

from camoe.contracts.layout import FEATURE_SCHEMA_PROPERTY, SETTINGS_PROPERTY, SLOTS_PROPERTY
from camoe.contracts.runs import makers
from camoe.contracts.slots import SlotCatalogue
from camoe.contracts.snapshot import logged
from features.commit import Run
from features.table import Target
from features.training_commit import Switch, replace_days
from tests.features.upkeep import content

DAY = date(2026, 1, 1)
SLOTS = SlotCatalogue.model_validate({"slots": [{"id": "feed", "name": "Feed", "modality": "video"}]})


def target(path, settings="s", **changes):
    properties = {FEATURE_SCHEMA_PROPERTY: "f", SLOTS_PROPERTY: SLOTS.listing(), SETTINGS_PROPERTY: settings}
    return Target(path, properties, SLOTS, ("click",), **changes)


def rows(spark, run):
    columns = {"run_id": F.lit(run), "date": F.lit(DAY), "modality": F.lit("video"), "slot": F.lit("feed")}
    keys = spark.range(5).select(F.concat(F.lit(run), F.col("id")).alias("impression_id"))
    return keys.withColumns({**columns, "label_click": F.lit(1).cast("tinyint")})


@pytest.fixture(scope="module")
def made(spark, tmp_path_factory):
    """A table that run r1 made: (its path, the switch to it, its commit)."""
    path = tmp_path_factory.mktemp("commit") / "training"
    switch = Switch(target(path), (DAY,), -1, {}, 100)
    return path, switch, replace_days(rows(spark, "r1"), switch, Run("r1", "c", "raw"))


def require_once(spark, path, switch, run):
    """Check that a commit which has been made is not made again, although other rows are given."""
    version, before = DeltaTable(path).version(), content(path)
    commit = replace_days(rows(spark, "other"), switch, Run(run, "c", "raw"))
    assert (DeltaTable(path).version(), content(path)) == (version, before)
    return commit


def test_the_commit_that_makes_the_table_is_made_once(spark, made):
    path, switch, commit = made
    assert (commit.version, commit.rows) == (0, 5)
    assert require_once(spark, path, switch, "r1") == commit


@pytest.mark.parametrize("settings", ["s", "other"], ids=["days replaced", "table replaced"])
def test_the_commit_that_replaces_is_made_once(spark, made, settings):
    path, _, _ = made
    found = logged(path)
    switch = Switch(target(path, settings, replace=True), (DAY,), found.version, makers(found), 100)
    commit = replace_days(rows(spark, f"run-{settings}"), switch, Run(f"run-{settings}", "c", "raw"))
    assert commit.version == found.version + 1
    assert require_once(spark, path, switch, f"run-{settings}") == commit
