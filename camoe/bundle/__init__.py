"""The model bundle: one folder with all that scoring needs, and nothing that runs code on loading."""
