"""Tests of what tasks add to a training recipe."""
