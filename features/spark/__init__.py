"""Spark itself: the session, progress, failures, expressions, values."""
