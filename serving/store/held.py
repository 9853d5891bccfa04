"""What an ingest folder holds of a customer, and the raw sources that it came from."""

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


def exports_of(data: Path) -> tuple[str, ...]:
    """The files that the recipe of an ingest folder names, which are their owner's."""
    made_from = read_data_manifest(data).made_from
    tables = [*_tables(made_from.get("sources")), *_tables([made_from.get("customers")])]
    return tuple(dict.fromkeys(tables))


def _tables(told: object) -> list[str]:
    if not isinstance(told, list):
        return []
    return [str(table["path"]) for table in told if isinstance(table, dict) and "path" in table]
