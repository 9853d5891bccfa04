"""Tests of serving/store, a module per module."""
