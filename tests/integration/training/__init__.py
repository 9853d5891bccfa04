"""training.run on a real Ray cluster."""
