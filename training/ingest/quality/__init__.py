"""What ingest read, kept, dropped and found: counted while rows stream by, told in quality.json."""
