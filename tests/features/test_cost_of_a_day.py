"""One more day costs Spark the same on a table of few and of many days: rows and bytes that it reads and shuffles."""

from __future__ import annotations

import pytest
import yaml

from bench.day.pipeline import Pipeline
from bench.growth.lake import DayLake
from tests.features import lake

ROWS = 2_000
FLAT = 1.2


class Work:
    """What Spark has done since this was made, by the stages that it keeps account of."""

    def __init__(self, spark):
        self._store = spark.sparkContext._jsc.sc().statusStore()
        self._java, self._gateway = spark.sparkContext._jvm, spark.sparkContext._gateway
        self._before = {stage.stageId() for stage in self._stages()}

    def figures(self):
        own = [stage for stage in self._stages() if stage.stageId() not in self._before]
        return {
            "rows read": sum(stage.inputRecords() for stage in own),
            "bytes read": sum(stage.inputBytes() for stage in own),
            "bytes shuffled": sum(stage.shuffleWriteBytes() for stage in own),
            "stages": len(own),
            "processor seconds": round(sum(stage.executorCpuTime() for stage in own) / 1e9, 2),
        }

    def _stages(self):
        none = self._java.java.util.ArrayList()
        quantiles = self._gateway.new_array(self._java.double, 0)
        found = self._store.stageList(none, False, False, quantiles, none)
        return [found.apply(place) for place in range(found.size())]


def one_more_day(spark, folder, days, kind):
    """What a build of the day after `days` of them does, where nothing looks at the history."""
    home = folder / f"{days}"
    home.mkdir()
    made = Pipeline(home, DayLake(home / "raw", ROWS, kind), days, 1, "1g", 2)
    made.prepare()
    settings = yaml.safe_load((home / "run.yaml").read_text())
    del settings["features"]["history"]
    config = home / "run.yaml"
    config.write_text(yaml.safe_dump(settings))
    assert lake.run_job(config, "--days", f"{made.lake.day(0)}..{made.lake.day(days - 1)}") == 0
    work = Work(spark)
    assert lake.run_job(config, "--days", str(made.lake.day(days))) == 0
    return work.figures()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["parquet", "delta"])
def test_one_more_day_costs_the_same_on_a_table_of_many_days(spark, tmp_path, kind):
    few, many = (one_more_day(spark, tmp_path, days, kind) for days in (8, 40))
    print(kind, few, many)
    for name in ("rows read", "bytes shuffled", "stages"):
        assert many[name] <= FLAT * few[name], (name, few, many)
