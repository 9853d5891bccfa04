"""Job: customers for a campaign, chosen from scores.parquet by an SQL condition, as CSV and Parquet."""
