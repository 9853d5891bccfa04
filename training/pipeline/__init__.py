"""Job: stages one after another, here or as jobs of a Ray cluster, then the service."""
