"""Tests of training/pipeline, a module per module."""
