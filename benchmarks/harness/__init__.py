"""What benchmarks share: evidence, shops, training runs."""
