"""Tests of what the season brings."""
