"""Evaluation of scored days: states aggregated in Spark, and the document made of them."""
