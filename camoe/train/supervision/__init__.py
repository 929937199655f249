"""Watching workers: their heartbeats, their messages to the launcher, and the end of those that hang."""
