"""The planted effects of the synthetic lake, and how much of each a model has learned."""
