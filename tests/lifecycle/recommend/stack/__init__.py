"""Tests of the stack of rankers."""
