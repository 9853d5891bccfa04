"""Tests of the next-item encoder."""
