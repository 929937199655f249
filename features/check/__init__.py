"""A check of a configuration against its files before Spark is started."""
