"""Files to rows of text: which lie in a folder, compressed ones, CSV with its quotes, JSON, Parquet."""
