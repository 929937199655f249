"""Places that several jobs share, and who may write there."""
