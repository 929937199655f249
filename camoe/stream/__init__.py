"""The exact stream: a plan of global batches, and Petastorm readers that deliver it."""
