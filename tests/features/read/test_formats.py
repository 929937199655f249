"""The same lake in each format gives the same training rows, by configuration alone."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.features import lake

FORMATS = ("json", "parquet", "csv", "delta")
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
    elif kind == "csv":
        frame.to_csv(path, index=False)
    else:
        lake.write(path, rows)


def settings_for(folder, kind):
    settings = lake.config(folder)
    sources = settings["sources"]
    for table in (sources["impressions"], sources["outcomes"], *sources["entities"].values()):
        table["path"] = table["path"].replace("json", kind)
        table["format"] = kind
        table["options"] = {"header": "true"} if kind == "csv" else {}
    return settings


def built_as(spark, folder, kind):
    (folder / "raw").mkdir()
    for name, rows in TABLES.items():
        write_as(spark, folder / f"raw/{name}.{kind}", rows(), kind)
    assert lake.run_job(lake.write_config(folder, settings_for(folder, kind))) == 0
    rows = spark.read.format("delta").load(str(folder / "out/training")).drop("run_id").collect()
    return {row.impression_id: row.asDict() for row in rows}


@pytest.fixture(scope="module")
def from_json(spark, tmp_path_factory):
    return built_as(spark, tmp_path_factory.mktemp("json"), "json")


@pytest.mark.parametrize("kind", FORMATS[1:])
def test_the_same_rows_from_each_format(spark, tmp_path, from_json, kind):
    assert len(from_json) == len(lake.impressions())
    assert built_as(spark, tmp_path, kind) == from_json
