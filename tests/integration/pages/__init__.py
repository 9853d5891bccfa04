"""Tests that read HTML pages in a real browser."""
