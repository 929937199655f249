"""Tests of what tools/ makes."""
