"""Tests of training/ingest, a module per module."""
