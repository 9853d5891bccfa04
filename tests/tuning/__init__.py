"""Tests of tuning, a module per module."""
