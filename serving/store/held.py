"""What an ingest folder holds of a customer."""

from pathlib import Path

import polars as pl

from lifecycle.events.shards import read_data_manifest, scan_shard, shard_numbers, shard_path


def rows_held(data: Path, customer_id: str) -> int:
    """Events and lines of the table of customers."""
    num_shards = read_data_manifest(data).num_shards
    [shard] = shard_numbers(pl.Series([customer_id]), num_shards)
    tables = [scan_shard(shard_path(data, shard))]
    if (data / "customers.parquet").exists():
        tables.append(pl.scan_parquet(data / "customers.parquet"))
    is_theirs = pl.col("customer_id") == customer_id
    return sum(table.filter(is_theirs).select(pl.len()).collect().item() for table in tables)
