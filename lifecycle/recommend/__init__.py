"""Recommendation: retrieval, baselines, LLaMA re-ranking."""
