"""A module a system: `join(spark, folder, features)` gives the joined rows, where each feature is, and a note."""
