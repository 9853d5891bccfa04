"""Tests of task rerank."""
