"""Columns that are added to days that are built: what they need is read, and all other columns stay as they are."""
