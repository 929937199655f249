"""Where a run's figures go: TensorBoard and MLflow."""
