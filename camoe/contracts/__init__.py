"""Contracts between the Spark side and the model side. Imports neither torch nor Spark."""
