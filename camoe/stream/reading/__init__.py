"""Reading row groups with Petastorm, and packing their rows into batches."""
