"""Tests of lifecycle/spend, a module per module."""
