"""Tests of lifecycle/btyd, a module per module."""
