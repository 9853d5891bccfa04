"""Tests of training/report, a module per module."""
