"""Cheaper models: smaller students, and experts, columns and rows that are cut; each step is measured."""
