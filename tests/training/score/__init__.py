"""Tests of training/score, a module per module."""
