"""Tests: the same folders as the code, a module per module."""
