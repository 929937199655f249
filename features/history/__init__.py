"""History features: events and day states of the log, and what each impression could know of what came before it."""
