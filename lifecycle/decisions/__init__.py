"""What to do about a customer: segments, stages, next best actions."""
