"""Tests of training/tasks, a module per module."""
