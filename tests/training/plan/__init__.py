"""Tests of training/plan, a module per module."""
