"""Shop exports drawn at random, each with the recipe for it and what ingest must make of it."""
