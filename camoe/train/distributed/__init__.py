"""Horovod workers: joining them, and exchanging gradients between them."""
