"""Tests of cluster, a module per module."""
