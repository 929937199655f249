"""What may be shown and written: one rule for messages, commands and configurations."""
