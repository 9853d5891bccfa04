"""Tests of serving/api, a module per module."""
