"""Order days of customers, summed up as buy-till-you-die models read them; apart from the fitters, which need scipy."""

import polars as pl


def summarise(orders: pl.DataFrame) -> pl.DataFrame:
    """One row per (customer_id, cutoff): frequency, recency and age in days, mean_repeat_value.

    `orders` has customer_id, cutoff, occurred_at and amount. Orders of one UTC day count as one; the value is the mean
    over the days after the first, 0 where there is none. Raises ValueError for an order at or after its cutoff.
    """
    late = orders.filter(pl.col("occurred_at") >= pl.col("cutoff"))
    if not late.is_empty():
        raise ValueError(f"order at {late['occurred_at'][0]} is not before its cutoff {late['cutoff'][0]}")
    keys = ["customer_id", "cutoff"]
    day = pl.col("occurred_at").dt.truncate("1d").alias("day")
    days = orders.group_by(*keys, day).agg(pl.col("amount").sum())
    total, first_day = pl.col("amount").sum(), pl.col("day").min()
    return (
        days.group_by(keys)
        .agg(
            frequency=pl.len().cast(pl.Int64) - 1,
            recency=(pl.col("day").max() - first_day).dt.total_days(),
            age=(pl.col("cutoff").first() - first_day).dt.total_days(),
            mean_repeat_value=total - pl.col("amount").min_by("day"),
        )
        .with_columns(pl.col("mean_repeat_value") / pl.max_horizontal("frequency", 1))
        .sort(keys)
    )
