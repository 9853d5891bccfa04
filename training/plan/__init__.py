"""Job: memory and time of a training recipe, before anything starts."""
