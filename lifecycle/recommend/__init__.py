"""Recommendation: retrieval, baselines, LLaMA re-ranking."""

RETRIEVER = "retriever"  # the name of retrieval.propose as a ranker
