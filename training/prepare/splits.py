"""Which examples are for training, validation and test: customers by stable hash, purchases by their order."""

from pathlib import Path
from typing import Literal

import polars as pl

from lifecycle.events.schema import is_purchase
from lifecycle.events.shards import read_shard, shard_paths, stable_hash

NUM_FOLDS = 5
VALIDATION_PERCENT = 20
LEAVE_ONE_OUT: Literal["leave_one_out"] = "leave_one_out"
PARTS = ("train", "val", "test")


def is_validation_customer(customer_ids: pl.Series, seed: int) -> pl.Series:
    """The stable-hash fifth of all customers that no training row may show; each seed draws another."""
    return pl.Series(
        stable_hash(customer_ids, _salt("validation", seed)) % 100 < VALIDATION_PERCENT
    )


def fold_of(customer_ids: pl.Series, seed: int) -> pl.Series:
    """Fold 0 to 4 of each customer, for out-of-fold stacking."""
    return pl.Series((stable_hash(customer_ids, _salt("fold", seed)) % NUM_FOLDS).astype("int8"))


def _salt(purpose: str, seed: int) -> str:
    return f"{purpose}-{seed}" if seed else purpose


def merge_parts(files: list[Path], output: Path) -> int:
    """Concatenate Parquet files into one without holding them in memory; returns the number of rows."""
    rows = pl.scan_parquet(files)
    rows.sink_parquet(output)
    for file in files:
        file.unlink()
    return int(pl.scan_parquet(output).select(pl.len()).collect().item())


def leave_one_out(data: Path, folder: Path, seed: int) -> dict[str, int]:
    """Write next-item examples: of each customer's purchases in order the last is test, the one before it validation.

    `position` is how many earlier purchases belong to the history; `item_id` is the item to
    predict. Returns the number of rows by part.
    """
    files: dict[str, list[Path]] = {part: [] for part in PARTS}
    for number, path in enumerate(shard_paths(data)):
        for part, rows in _leave_one_out_parts(read_shard(path), seed).items():
            file = folder / f"{part}-{number}.parquet"
            rows.write_parquet(file)
            files[part].append(file)
    num_rows = {}
    for part, part_files in files.items():
        num_rows[part] = merge_parts(part_files, folder / f"{part}.parquet")
    if not num_rows["test"]:
        raise ValueError(
            f"leave_one_out needs customers with two purchases of items; {data} has none"
        )
    return num_rows


def _leave_one_out_parts(events: pl.DataFrame, seed: int) -> dict[str, pl.DataFrame]:
    """The rows of one shard by part; a customer's first purchase has no history to predict from."""
    position = pl.int_range(pl.len()).over("customer_id")
    from_end = pl.len().over("customer_id") - position
    rows = events.filter(is_purchase() & pl.col("item_id").is_not_null()).select(
        "customer_id",
        pl.col("occurred_at").alias("cutoff"),
        "item_id",
        position.alias("position"),
        from_end.alias("from_end"),
    )
    rows = rows.with_columns(fold_of(rows["customer_id"], seed).alias("fold"))
    rows = rows.filter(pl.col("position") > 0)
    place = rows["from_end"]
    rows = rows.drop("from_end")
    return {
        "train": rows.filter(place > 2),
        "val": rows.filter(place == 2),
        "test": rows.filter(place == 1),
    }
