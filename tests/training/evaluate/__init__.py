"""Tests of training/evaluate, a module per module."""
