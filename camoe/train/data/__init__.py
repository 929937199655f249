"""Inputs before the first step: the pinned table, numeric transforms, quantiles."""
