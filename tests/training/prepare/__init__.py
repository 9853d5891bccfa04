"""Tests of training/prepare, a module per module."""
