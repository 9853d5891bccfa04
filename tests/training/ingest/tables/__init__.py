"""Tests of training/ingest/tables, a module per module."""
