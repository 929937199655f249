"""Per-slot truth: additive states, and the metrics that come from them."""
