"""What tells rankers apart: plots, the gain of their stack, the price of margins."""
