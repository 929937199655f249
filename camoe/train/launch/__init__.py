"""Starting workers on hosts or inside Spark, showing their output, and telling how they ended."""
