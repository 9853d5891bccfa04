"""Job: an artifact's answers for everybody."""
