"""The plan of global batches: which row of which row group is in which batch, and which worker has it."""
