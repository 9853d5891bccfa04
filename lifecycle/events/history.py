"""What is known of customers at their cutoffs: who they are and what came before. Nothing at or after one passes."""

from datetime import datetime, timedelta

import polars as pl

from lifecycle.events.schema import is_purchase, order_key

KEYS = ["customer_id", "cutoff"]
# A division by a number rounds otherwise in a table of one row than in a long one.
DAYS_PER_SECOND = 1 / 86_400
# Nothing was sent yet: mistyped or withdrawn; what comes back later is a return.
CANCELLED_WITHIN = timedelta(hours=1)


def known_at(rows: pl.DataFrame, cutoffs: pl.DataFrame) -> pl.DataFrame:
    """The rows of each customer strictly before each of its cutoffs, with `age_days` before that cutoff (> 0).

    `cutoffs` has customer_id and cutoff (UTC instants); a row comes back once for every later
    cutoff of its customer.
    """
    joined = rows.join(cutoffs.select(KEYS), on="customer_id", maintain_order="left")
    known = joined.filter(pl.col("occurred_at") < pl.col("cutoff"))
    age = (pl.col("cutoff") - pl.col("occurred_at")).dt.total_seconds() * DAYS_PER_SECOND
    return known.with_columns(age.alias("age_days"))


def with_cancellations(events: pl.DataFrame) -> pl.DataFrame:
    """The events with `cancelled_at`: the instant of a refund, at it and at the line that it cancels; null elsewhere.

    A refund cancels the latest line of its customer, item, quantity and amount that is at most
    CANCELLED_WITHIN older; of equal lines at one instant, equal refunds at one instant cancel one
    each.
    """
    what = ["customer_id", "item_id", "quantity", "amount"]
    is_refund = pl.col("kind") == "refund"
    copy = pl.int_range(pl.len()).over(*what, "occurred_at").alias("copy")
    rows = (
        events.with_row_index("row")
        .filter(is_purchase() | is_refund)
        .with_columns(
            pl.col("item_id").fill_null(""), pl.col("quantity", "amount").abs().fill_null(0.0)
        )
        .sort("occurred_at", maintain_order=True)
    )
    refunds = rows.filter(is_refund).select("row", "occurred_at", *what, copy)
    lines = rows.filter(~is_refund).join(refunds, on=what, how="semi", maintain_order="left")
    cancelling = (
        refunds.join_asof(
            lines.select("occurred_at", *what, copy, line="row"),
            on="occurred_at",
            by=[*what, "copy"],
            tolerance=CANCELLED_WITHIN,
            check_sortedness=False,  # sorted above
        )
        .drop_nulls("line")
        .unique("line", keep="first", maintain_order=True)
    )
    at_refunds = cancelling.select("row", cancelled_at="occurred_at")
    at_lines = cancelling.select(row="line", cancelled_at="occurred_at")
    times = pl.concat([at_refunds, at_lines])
    rows = events.with_row_index("row")
    return rows.join(times, on="row", how="left", maintain_order="left").drop("row")


def customers_at(events: pl.DataFrame, cutoff: datetime) -> pl.DataFrame:
    """customer_id and cutoff of every customer with a purchase before the cutoff, by id."""
    return _ids_at(events.filter(is_purchase()), cutoff)


def not_bought_at(events: pl.DataFrame, cutoff: datetime) -> pl.DataFrame:
    """customer_id and cutoff of everybody with an event, but no purchase, before the cutoff, by id."""
    return _ids_at(events, cutoff).join(
        customers_at(events, cutoff), on=KEYS, how="anti", maintain_order="left"
    )


def prospects_at(events: pl.DataFrame, cutoff: datetime) -> pl.DataFrame:
    """Those of `not_bought_at` who have yet to buy: who got a refund has bought before the data begin."""
    refunded = _ids_at(events.filter(pl.col("kind") == "refund"), cutoff)
    return not_bought_at(events, cutoff).join(refunded, on=KEYS, how="anti", maintain_order="left")


def _ids_at(events: pl.DataFrame, cutoff: datetime) -> pl.DataFrame:
    ids = events.filter(pl.col("occurred_at") < cutoff).select("customer_id").unique()
    cutoffs = pl.lit(cutoff).cast(pl.Datetime("us", "UTC")).alias("cutoff")
    return ids.sort("customer_id").select("customer_id", cutoffs)


def outcomes(events: pl.DataFrame, cutoffs: pl.DataFrame, horizon_days: int) -> pl.DataFrame:
    """What happened in [cutoff, cutoff + horizon): target (gross), actual_net (after refunds), num_orders_ahead."""
    joined = events.join(cutoffs.select(KEYS), on="customer_id")
    ahead = joined.filter(
        (pl.col("occurred_at") >= pl.col("cutoff"))
        & (pl.col("occurred_at") < pl.col("cutoff") + pl.duration(days=horizon_days))
    )
    amount = pl.col("amount")
    is_net = is_purchase() | (pl.col("kind") == "refund")
    sums = ahead.group_by(KEYS).agg(
        amount.filter(is_purchase()).sum().alias("target"),
        amount.filter(is_net).sum().alias("actual_net"),
        order_key().filter(is_purchase()).n_unique().cast(pl.Int64).alias("num_orders_ahead"),
    )
    return cutoffs.select(KEYS).join(sums, on=KEYS, how="left", maintain_order="left").fill_null(0)
