"""Impressions judged one by one: exclusions, duplicates, checks, labels, and their counts."""
