"""Which examples are for training, validation and test: customers by stable hash, purchases by their order."""

from pathlib import Path

import polars as pl

from lifecycle.events.schema import REVENUE_KINDS
from lifecycle.events.shards import read_shard, shard_paths, stable_hash

NUM_FOLDS = 5
VALIDATION_PERCENT = 20
LEAVE_ONE_OUT = "leave_one_out"
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


def leave_one_out(data: Path, folder: Path, seed: int) -> dict[str, object]:
    """Write next-item examples: of each customer's purchases in order the last is test, the one before it validation.

    `position` is how many earlier purchases belong to the history; `item_id` is the item to
    predict.
    """
    parts: dict[str, list[Path]] = {part: [] for part in PARTS}
    for number, path in enumerate(shard_paths(data)):
        bought = read_shard(path).filter(
            pl.col("kind").is_in(REVENUE_KINDS) & pl.col("item_id").is_not_null()
        )
        position = pl.int_range(pl.len()).over("customer_id")
        rows = bought.select(
            "customer_id",
            pl.col("occurred_at").alias("cutoff"),
            "item_id",
            position.alias("position"),
        )
        from_end = rows.select(pl.len().over("customer_id") - pl.col("position")).to_series()
        rows = rows.with_columns(fold_of(rows["customer_id"], seed).alias("fold")).filter(
            pl.col("position") > 0
        )
        from_end = from_end.filter(bought.select(position > 0).to_series())
        split = {"train": from_end > 2, "val": from_end == 2, "test": from_end == 1}
        for part, chosen in split.items():
            parts[part].append(folder / f"{part}-{number}.parquet")
            rows.filter(chosen).write_parquet(parts[part][-1])
    num_rows = {
        part: merge_parts(files, folder / f"{part}.parquet") for part, files in parts.items()
    }
    if not num_rows["test"]:
        raise ValueError(
            f"leave_one_out needs customers with two purchases of items; {data} has none"
        )
    return {"num_rows": num_rows}
