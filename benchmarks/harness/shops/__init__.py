"""Shops that benchmarks judge on: simulated kinds, and tables that packages or a data folder carry."""
