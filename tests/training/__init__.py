"""Tests of training, a module per module."""
