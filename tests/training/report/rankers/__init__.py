"""Tests of training/report/rankers."""
