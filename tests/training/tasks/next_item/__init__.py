"""Tests of task next_item."""
