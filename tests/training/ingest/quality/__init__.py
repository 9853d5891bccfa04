"""Tests of training/ingest/quality."""
