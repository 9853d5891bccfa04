"""Tests of training/loop, a module per module."""
