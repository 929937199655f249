"""A synthetic raw lake with known probabilities, made from Spark built-ins and hashes."""
