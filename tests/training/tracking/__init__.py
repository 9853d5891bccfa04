"""Tests of training/tracking, a module per module."""
