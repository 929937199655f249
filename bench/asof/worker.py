"""One system's Spark, told on standard input what to do: `run` joins into nothing, `answer FOLDER` writes the rows.

Runs in the environment of the system that it measures: python -m bench.asof.worker SYSTEM CASE_FOLDER CONFIG_JSON
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F


def session(settings: dict[str, str]) -> SparkSession:
    """Return the Spark session with the settings that all systems share."""
    builder = SparkSession.builder.appName("bench")
    for key, value in settings.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def answer(joined: DataFrame, features: dict[str, str]) -> DataFrame:
    """Return impression_id, when the joined version began (microseconds), and a hash of all of its features."""
    columns = [F.col(column) for column in features.values()]
    return joined.select("impression_id", columns[0].alias("begun"), F.xxhash64(*columns).alias("payload"))


def processor_seconds(spark: SparkSession) -> float:
    """Return the processor time that Spark's process has used: on a shared machine it says more than the clock."""
    jvm = spark._jvm
    assert jvm is not None
    pid = jvm.java.lang.ProcessHandle.current().pid()
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Answer each line of standard input by one line of JSON."""
    system, folder, config = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
    spark = session(config["spark"])
    join = importlib.import_module(f"bench.asof.systems.{system}").join
    print(json.dumps({"ready": system}), flush=True)
    for line in sys.stdin:
        command, _, target = line.strip().partition(" ")
        started, used = time.perf_counter(), processor_seconds(spark)
        if command == "hashes":
            rows = spark.read.parquet(str(folder / "versions"))
            hashed = F.xxhash64(*config["features"]).alias("payload")
            rows.select("user_id", "begun", hashed).write.mode("overwrite").parquet(target)
            note = ""
        else:
            joined, features, note = join(spark, folder, config["features"])
            if command == "answer":
                answer(joined, features).write.mode("overwrite").parquet(target)
            else:
                joined.write.format("noop").mode("overwrite").save()
        spent = {"seconds": time.perf_counter() - started, "processor_s": processor_seconds(spark) - used}
        print(json.dumps({**spent, "note": note}), flush=True)


if __name__ == "__main__":
    main()
