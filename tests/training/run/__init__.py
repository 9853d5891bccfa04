"""Tests of training/run, a module per module."""
