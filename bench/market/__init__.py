"""The market: how fast it is held, and whether experiments in it tell the truth."""
