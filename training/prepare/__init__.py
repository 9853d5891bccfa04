"""Job: data/ to examples/, and how examples/ is read."""
