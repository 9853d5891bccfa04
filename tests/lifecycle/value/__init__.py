"""Tests of lifecycle/value, a module per module."""
