"""Tests of training/report/answer."""
