"""Erased customers: the hashes that stand for them, who may still hold them, and what their receipt says."""
