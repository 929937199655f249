"""Where the repository's files lie, and the real logs that some tests need."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KUAIRAND_LOG = "log_standard_20220425_20220430_pure.parquet"
