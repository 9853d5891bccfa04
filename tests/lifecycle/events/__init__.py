"""Tests of lifecycle/events, a module per module."""
