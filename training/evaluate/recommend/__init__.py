"""What is asked of rankers, their rankings, which of them serves."""
