"""The settings of the Spark that tests run in."""

from __future__ import annotations

from tests.paths import ROOT

# With a few rows most of the time goes into planning and compiling, so plans are run without being compiled, and no
# constraints are sought in them. Jobs that tests submit run as shipped.
FOR_FEW_ROWS = {
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.constraintPropagation.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
}
ONE_COLLECTOR = " -XX:+UseSerialGC -XX:MetaspaceSize=256m -Xms1g"


def spark_properties() -> dict[str, str]:
    """Return the shipped settings of a local Spark."""
    lines = (ROOT / "conf/spark/local.conf").read_text().splitlines()
    pairs = [line.split(None, 1) for line in lines if line.strip() and not line.startswith("#")]
    return {key: value.strip() for key, value in pairs}
