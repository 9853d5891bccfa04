"""Rankers that need no torch: baselines, retrieval, groups of customers."""
