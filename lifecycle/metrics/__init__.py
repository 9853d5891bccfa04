"""Metrics of values, of rankings, of churn."""
