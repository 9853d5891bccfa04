"""Tests of training/evaluate/recommend/measures, a module per module."""
