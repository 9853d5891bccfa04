"""The arena on a real local Ray."""
