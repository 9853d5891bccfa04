"""Tests of training/ingest/files."""
