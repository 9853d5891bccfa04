"""The ingest folder: events sharded by a stable hash of customer_id, and the items."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import mmh3
import numpy as np
import polars as pl
from pydantic import AfterValidator, AwareDatetime, PlainSerializer

from lifecycle.events.log_position import LogPosition
from lifecycle.events.schema import EVENT_SCHEMA
from lifecycle.folders import Manifest, read_manifest

DATA_KIND = "data"
Instant = Annotated[
    AwareDatetime,
    AfterValidator(lambda at: at.astimezone(UTC)),
    PlainSerializer(datetime.isoformat),
]


class DataManifest(Manifest):
    """The manifest of an ingest folder."""

    num_shards: int
    currency: str
    timezone: str = "UTC"  # of the shop's days; data from before say none
    first_event_at: Instant
    last_event_at: Instant
    num_events: int
    num_customers: int
    usable_attributes: tuple[str, ...]  # of customers, declared usable for prediction
    log: LogPosition | None = None  # that is contained; None where no log was read


def read_data_manifest(data: Path) -> DataManifest:
    """The manifest of a complete ingest folder; its files are not read."""
    return read_manifest(data, DATA_KIND, DataManifest)


def stable_hash(ids: pl.Series, salt: str) -> np.ndarray:
    """A 64-bit MurmurHash3 of each string, shape (n,), the same on every machine and in every run.

    Different salts give independent hashes: shards, folds and validation customers do not line up.
    """
    seed = mmh3.hash(salt, signed=False)
    hashes = (mmh3.hash64(text, seed, signed=False)[0] for text in ids.to_list())
    return np.fromiter(hashes, dtype=np.uint64, count=len(ids))


def shard_numbers(customer_ids: pl.Series, num_shards: int) -> pl.Series:
    """The shard of each customer."""
    if customer_ids.is_empty():
        return pl.Series(dtype=pl.UInt32)
    unique = customer_ids.unique()
    shards = pl.Series((stable_hash(unique, "shard") % num_shards).astype(np.uint32))
    return customer_ids.replace_strict(unique, shards, return_dtype=pl.UInt32)


def shard_path(data: Path, shard: int) -> Path:
    """Where a shard of the events of an ingest folder lies."""
    return data / "events" / f"shard-{shard:05d}.parquet"


def shard_paths(data: Path) -> list[Path]:
    """All event shards of a complete ingest folder, in order."""
    return [shard_path(data, shard) for shard in range(read_data_manifest(data).num_shards)]


def scan_shard(path: Path) -> pl.LazyFrame:
    """The events of one shard, sorted by customer and time; columns that older ones lack are null."""
    return pl.scan_parquet(path, schema=EVENT_SCHEMA, missing_columns="insert")


def read_shard(path: Path, columns: list[str] | None = None) -> pl.DataFrame:
    """The same in memory."""
    return scan_shard(path).select(columns or EVENT_SCHEMA.names()).collect()


def read_items(data: Path) -> pl.DataFrame:
    """The item catalogue: item_id, title, category, price, description and any other columns."""
    return pl.read_parquet(data / "items.parquet")
