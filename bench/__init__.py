"""Benchmarks against other systems; docs/benchmarks.md and docs/quality.md tell what they found."""
