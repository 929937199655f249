"""The same lake in each format gives the same training rows, by configuration alone."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.features import lake

TABLES = {
    "impressions": lake.impressions,
    "outcomes": lake.outcomes,
    "users": lake.users,
    "campaigns": lake.campaigns,
}


def write_as(spark, path, rows, kind):
    frame = pd.DataFrame(rows)
    if kind == "delta":
        spark.createDataFrame(frame).write.format("delta").save(str(path))
    elif kind == "parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False)


def settings_for(folder, kinds):
    """The lake's settings with each table in the format that `kinds` names for it."""
    settings = lake.config(folder)
    sources = settings["sources"]
    for table in (sources["impressions"], sources["outcomes"], *sources["entities"].values()):
        name = table["path"].removesuffix(".json")
        kind = kinds[name]
        table |= {"path": f"{name}.{kind}", "format": kind, "options": {"header": "true"} if kind == "csv" else {}}
    return settings


def content(spark, folder):
    """The training rows by impression, without their run."""
    return {key: {**row.asDict(), "run_id": None} for key, row in lake.training(spark, folder).items()}


@pytest.mark.parametrize(
    "kinds",
    [
        ("parquet", "csv", "delta", "csv"),
        pytest.param(("parquet",) * 4, marks=pytest.mark.slow),
        pytest.param(("csv",) * 4, marks=pytest.mark.slow),
        pytest.param(("delta",) * 4, marks=pytest.mark.slow),
    ],
    ids=", ".join,
)
def test_the_same_rows_from_each_format(spark, clean_build, tmp_path, kinds):
    kinds = dict(zip(TABLES, kinds, strict=True))
    (tmp_path / "raw").mkdir()
    for name, rows in TABLES.items():
        write_as(spark, tmp_path / f"raw/{name}.{kinds[name]}", rows(), kinds[name])
    assert lake.run_job(lake.write_config(tmp_path, settings_for(tmp_path, kinds))) == 0
    expected = content(spark, clean_build)
    assert len(expected) == len(lake.impressions())
    assert content(spark, tmp_path) == expected
