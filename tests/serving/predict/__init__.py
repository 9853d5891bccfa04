"""Tests of serving/predict, a module per module."""
