"""Tests of rankers that score items from histories."""
