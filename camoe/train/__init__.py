"""Distributed training: Horovod workers that share one plan of global batches."""
