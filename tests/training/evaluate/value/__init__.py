"""Tests of training/evaluate/value, a module per module."""
