"""A customer at a cutoff for a model: as numbers, as text, as a sequence of events."""
