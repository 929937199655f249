"""Starts Spark with Delta once, so that its JARs are resolved, and fails where they cannot be had."""

from features.spark.session import spark_session

spark_session("setup").sql("select 1").collect()
