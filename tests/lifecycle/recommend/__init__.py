"""Tests of lifecycle/recommend, a module per module."""
