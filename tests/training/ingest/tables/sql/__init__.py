"""Tests of training/ingest/tables/sql, a module per module."""
