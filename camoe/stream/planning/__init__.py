"""The plan of global batches: the rows of each batch by row group, and the worker that gets each."""
