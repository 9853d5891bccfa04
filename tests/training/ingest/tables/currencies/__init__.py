"""Tests of training/ingest/tables/currencies, a module per module."""
