"""Tests of lifecycle, a module per module."""
