"""Tests of training/evaluate/customers, a module per module."""
