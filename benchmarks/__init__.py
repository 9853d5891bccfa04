"""One script per number in the README."""
