"""Job: the arena, to metrics.json and artifact/."""
