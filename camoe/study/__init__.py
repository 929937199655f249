"""Studies: variants of a model on the same rows, trained with several seeds, and what can be said of them."""
