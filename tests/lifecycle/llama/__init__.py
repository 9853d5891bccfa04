"""Tests of lifecycle/llama, a module per module."""
