"""Shifts of distributions: how far the rows of later days lie from those of reference ones."""
