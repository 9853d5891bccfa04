"""What jobs write for people and for other jobs, as types: metrics.json and quality.json."""
