"""Commits to Delta tables, and the tables' logs."""
