"""Jobs from raw tables to an artifact."""
