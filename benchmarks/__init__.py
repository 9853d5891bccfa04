"""One script per number in docs/results.md."""
