"""What days of the training table were built from: definitions of features, and which of them each day has."""
