"""Watching workers: their states, what they say of them, and the end of those that hang."""
