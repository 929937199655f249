"""Vocabularies: the profiles they are fitted on, and the encoding of rows and sequences."""
