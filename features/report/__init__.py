"""The report of a feature run: what became of the rows, and how the features of later days differ from training's."""

from features.report.document import RunFacts, day_groups, feature_report

__all__ = ["RunFacts", "day_groups", "feature_report"]
