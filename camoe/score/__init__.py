"""Batch scoring with a model bundle."""
