"""Job: raw tables to data/."""
