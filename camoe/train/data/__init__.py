"""What training reads before its first step: the pinned table, numeric transforms, quantiles."""
