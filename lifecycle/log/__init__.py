"""The durable log of events that came over HTTP: its tables, how it is opened, written and read."""
