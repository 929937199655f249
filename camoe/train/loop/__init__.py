"""The training loop: batches, steps, validation, calibration, progress."""
