"""Tests of training/ingest/quality/orders."""
