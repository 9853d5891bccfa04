"""Tests of training/audience."""
