"""Peers of the scoring job, and the rows that all of them score."""
