"""A first configuration guessed from the files of a log, each guess with its reason."""
