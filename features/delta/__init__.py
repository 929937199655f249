"""Commits to Delta tables, and what their logs say."""
