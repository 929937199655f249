"""Models of several kinds on the same rows and features, and how they are held against each other."""
