"""What the Spark side and the model side must agree on. Imports neither torch nor Spark."""
