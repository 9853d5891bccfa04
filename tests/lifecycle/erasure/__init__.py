"""Tests of lifecycle/erasure, a module per module."""
