"""Trackers of a run's figures: TensorBoard and MLflow."""
