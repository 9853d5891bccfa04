"""Tests of training/results, a module per module."""
