"""Tests of lifecycle/decisions, a module per module."""
