"""A customer at a cutoff as text for a language model: behaviour only, no id, name, contact data or free text."""

import polars as pl

from lifecycle.events import REVENUE_KINDS
from lifecycle.history import KEYS, known_at, orders_at

PROMPT_VERSION = "value-1"
NUM_RECENT_ORDERS = 4
NUM_CATEGORIES = 2
CATEGORY_WINDOW_DAYS = 182
# Every number costs a token per digit and one per blank before it, hence the terse lines.
TEMPLATE = (
    "First,last order:{},{} days ago\n"
    "Spend week,month,quarter,half year:{},{},{},{}\n"
    "Orders month,quarter,ever:{},{},{}\n"
    "Last:{}\n"
    "Buys {}\n"
    "Next {} days:"
)


def value_prompts(events: pl.DataFrame, features: pl.DataFrame, items: pl.DataFrame, horizon_days: int) -> pl.DataFrame:
    """customer_id, cutoff, prompt for every row of `features` (as `value_features` gives them), in their order.

    Amounts and days are rounded to whole numbers. Categories come from the item catalogue.
    """
    cutoffs = features.select(KEYS)
    texts = (
        features.join(_recent_orders(events, cutoffs), on=KEYS, how="left", maintain_order="left")
        .join(_favourite_categories(events, cutoffs, items), on=KEYS, how="left", maintain_order="left")
        .with_columns(pl.col("recent").fill_null("none"), pl.col("categories").fill_null("various things"))
    )
    numbers = [
        "tenure_days", "recency_days", "spend_7d", "spend_28d", "spend_91d", "spend_182d",
        "orders_28d", "orders_91d", "num_orders",
    ]  # fmt: skip
    prompt = pl.format(TEMPLATE, *(_whole(name) for name in numbers), "recent", "categories", pl.lit(horizon_days))
    return texts.select(*KEYS, prompt.alias("prompt"))


def _whole(name: str) -> pl.Expr:
    return pl.col(name).fill_null(0).round().cast(pl.Int64).cast(pl.String)


def _recent_orders(events: pl.DataFrame, cutoffs: pl.DataFrame) -> pl.DataFrame:
    """`20,45,13`: the values of the most recent orders, newest first."""
    newest_first = orders_at(events, cutoffs).reverse()
    recent = newest_first.group_by(KEYS, maintain_order=True).head(NUM_RECENT_ORDERS)
    return recent.group_by(KEYS, maintain_order=True).agg(_whole("amount").str.join(",").alias("recent"))


def _favourite_categories(events: pl.DataFrame, cutoffs: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    """The categories the customer bought on most days lately; an item without one counts by its title."""
    named = items.select("item_id", pl.coalesce("category", "title").str.to_lowercase().alias("name")).drop_nulls()
    lines = events.filter(pl.col("kind").is_in(REVENUE_KINDS)).select("customer_id", "occurred_at", "item_id")
    days = lines.join(named, on="item_id").group_by("customer_id", "name", pl.col("occurred_at").dt.date().alias("day"))
    counts = (
        known_at(days.agg(pl.col("occurred_at").min()), cutoffs)
        .filter(pl.col("age_days") <= CATEGORY_WINDOW_DAYS)
        .group_by(*KEYS, "name")
        .len()
        .sort(*KEYS, "len", "name", descending=[False, False, True, False])
    )
    top = counts.group_by(KEYS, maintain_order=True).head(NUM_CATEGORIES)
    return top.group_by(KEYS, maintain_order=True).agg(pl.col("name").str.join(", ").alias("categories"))
