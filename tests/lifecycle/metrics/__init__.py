"""Tests of lifecycle/metrics, a module per module."""
