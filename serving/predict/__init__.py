"""Answers without Ray or HTTP."""
