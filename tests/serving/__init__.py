"""Tests of serving, a module per module."""
