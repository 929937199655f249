"""Modality-aware multi-task ad ranking: the stream, the model, training, scoring and per-slot metrics."""
