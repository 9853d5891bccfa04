"""The log of events, over SQLite and over a real PostgreSQL server."""
