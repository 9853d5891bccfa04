"""Tests of training/erase, a module per module."""
