"""Training beside other libraries: speed, memory, quality."""
