"""Tests of lifecycle/artifact, a module per module."""
