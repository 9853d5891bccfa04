"""Tests of training/report/words."""
