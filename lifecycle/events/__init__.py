"""What happened: the event schema, shards of events, history at a cutoff."""
