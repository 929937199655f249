"""Puts Delta Lake's JARs beside Spark's own, then writes and reads a table with them.

First with `--packages`, which has Spark fetch them; then without, as jobs run: what Java loads then is archived, so
that each job starts some seconds sooner.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

from features.spark.session import spark_session

JARS = Path(os.environ["SPARK_HOME"]) / "jars"
VERSION = re.compile(r"-\d[\w.-]*\.jar$")


def main() -> None:
    """Copy the JARs that Spark fetched and does not bring itself; write and read a Delta table."""
    spark = spark_session("setup")
    brought = {VERSION.sub("", path.name) for path in JARS.glob("*.jar")}
    for fetched in filter(None, spark.sparkContext.getConf().get("spark.jars", "").split(",")):
        # Ivy names a file organisation_artifact-version.jar.
        name = Path(fetched).name.partition("_")[2]
        if VERSION.sub("", name) not in brought:
            shutil.copy(fetched.removeprefix("file://"), JARS / name)
    with tempfile.TemporaryDirectory() as folder:
        rows = spark.range(100).selectExpr("id", "id % 7 as part", "cast(id as string) as text")
        rows.repartition("part").write.format("delta").partitionBy("part").save(f"{folder}/table")
        table = spark.read.format("delta").load(f"{folder}/table")
        ranked = table.selectExpr("part", "text", "row_number() over (partition by part order by id) as place")
        assert ranked.join(table, "text").groupBy("place").count().count() > 0
    spark.stop()


main()
