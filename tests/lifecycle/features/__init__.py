"""Tests of lifecycle/features, a module per module."""
