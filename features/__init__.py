"""The Spark side: from a raw lake of impression logs to a Delta training table."""
