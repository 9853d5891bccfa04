"""Tests of training/evaluate/recommend, a module per module."""
