"""A customer at a cutoff as text for a language model: behaviour only, no id, name, contact data or free text."""

import math

import polars as pl

from lifecycle.events.history import KEYS, known_at
from lifecycle.events.schema import is_purchase

PROMPT_VERSION = "value-2"
NUM_CATEGORIES = 2
# Of each name: titles stand in for missing categories, and some are paragraphs.
CATEGORY_LETTERS = 24
CATEGORY_WINDOW_DAYS = 182
DAYS = ("tenure_days", "recency_days")
ORDERS = ("orders_28d", "orders_91d", "num_orders")
SPEND = ("spend_28d", "spend_91d", "spend_182d", "total_spend")
PROMPT_NUMBERS = (*DAYS, *ORDERS, *SPEND)
FINE = (10, 3)  # levels per doubling, digits
COARSE = (5, 2)


def value_prompts(
    events: pl.DataFrame, features: pl.DataFrame, items: pl.DataFrame, money_unit: float
) -> pl.DataFrame:
    """customer_id, cutoff, prompt for every row of `features` (as `value_features` gives them), in their order.

    Numbers are written as levels on a logarithmic scale, with as many digits for every customer:
    days since the first and the last order; orders of the last 28 and 91 days and of all time;
    spend of the last 28, 91 and 182 days and of all time. So each digit stands at the same place
    before the end of every prompt, which a decoder learns to read from hundreds of customers rather
    than thousands. Money counts in `money_unit`, so that amounts of any currency fit. Categories
    come from the catalogue and stand first, as their length varies.
    """
    categories = _favourite_categories(events, features.select(KEYS), items)
    texts = features.join(categories, on=KEYS, how="left", maintain_order="left")
    numbers = [_levels(DAYS, COARSE), _levels(ORDERS, COARSE), _levels(SPEND, FINE, money_unit)]
    buys = pl.col("categories").fill_null("various things")
    prompt = pl.format("Buys {}\nDays{} Orders{} Spend{}:", buys, *numbers)
    return texts.select(*KEYS, prompt.alias("prompt"))


def _levels(names: tuple[str, ...], scale: tuple[int, int], unit: float = 1.0) -> pl.Expr:
    """`,07,31`: log2(1 + x / unit) of each column in steps of 1 / levels; the highest level of the digits is open."""
    return pl.concat_str(pl.lit(",") + _level(pl.col(name) / unit, *scale) for name in names)


def _level(number: pl.Expr, levels: int, digits: int) -> pl.Expr:
    doublings = levels * number.fill_null(0).clip(0).log1p() / math.log(2)
    level = doublings.round().clip(upper_bound=10**digits - 1)
    return level.cast(pl.Int64).cast(pl.String).str.zfill(digits)


def _favourite_categories(
    events: pl.DataFrame, cutoffs: pl.DataFrame, items: pl.DataFrame
) -> pl.DataFrame:
    """The categories the customer bought on most days lately; an item without one counts by its title."""
    name = pl.coalesce("category", "title").str.to_lowercase().str.slice(0, CATEGORY_LETTERS)
    named = items.select("item_id", name.alias("name")).drop_nulls()
    lines = events.filter(is_purchase()).select("customer_id", "occurred_at", "item_id")
    day = pl.col("occurred_at").dt.date().alias("day")
    days = lines.join(named, on="item_id").group_by("customer_id", "name", day)
    known = known_at(days.agg(pl.col("occurred_at").min()), cutoffs)
    recent = known.filter(pl.col("age_days") <= CATEGORY_WINDOW_DAYS)
    counts = recent.group_by(*KEYS, "name").len()
    ordered = counts.sort(*KEYS, "len", "name", descending=[False, False, True, False])
    top = ordered.group_by(KEYS, maintain_order=True).head(NUM_CATEGORIES)
    return top.group_by(KEYS, maintain_order=True).agg(
        pl.col("name").str.join(", ").alias("categories")
    )
