"""Keeping the tables fit for years: leftovers of crashed runs, small files, files that no version needs."""
