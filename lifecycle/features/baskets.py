"""Customers' purchases in numbers, order after order, for an encoder that says what is bought next.

Training and serving build their inputs here. An item's number is its row in the vocabulary's table,
counted from 1. A history ends where its frame of purchases ends: who calls leaves out what comes
later.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from pydantic import Field, model_validator

from lifecycle.config import Config
from lifecycle.events.schema import order_key
from lifecycle.features.sequence import LOG_SCALE, MICROSECONDS_PER_DAY, check_heads
from lifecycle.features.vocabulary import Vocabulary

NEXT_ITEM_VERSION = "next-item-1"
NO_ITEM = 0  # padding, and items that the vocabulary does not know
BASKET_COLUMNS = ["customer_id", "occurred_at", "kind", "order_id", "item_id", "shop_day"]


class NextItemSettings(Config):
    """Size of the encoder, a LLaMA of its own, and how much of a history it reads."""

    hidden_size: int = Field(64, ge=8)
    num_layers: int = Field(2, ge=1)
    num_heads: int = Field(2, ge=1)
    dropout: float = Field(0.2, ge=0, lt=1)  # of item vectors, attention and feed-forward
    # Of a causal convolution that is mixed half and half into attention; 0: none.
    convolution_taps: int = Field(8, ge=0)
    # Whether what was bought before gets a logit of its own for each time it was, which attention weighs.
    repeats: bool = True
    max_events: int = Field(50, ge=1)  # purchases of a customer, the latest

    @model_validator(mode="after")
    def _heads_divide(self) -> "NextItemSettings":
        check_heads(self.hidden_size, self.num_heads)
        return self


@dataclass(frozen=True)
class Baskets:
    """Purchases of n customers end to end, m in all; those of customer c lie from starts[c] to starts[c + 1]."""

    customer_ids: pl.Series  # (n,)
    starts: np.ndarray  # (n + 1,)
    item: np.ndarray  # (m,) numbers of items
    at: np.ndarray  # (m,) microseconds since 1970
    order_start: np.ndarray  # (m,) where the order of each purchase begins


def by_order(purchases: pl.DataFrame) -> pl.DataFrame:
    """Purchases, each with its `order`; an item that an order has twice counts once."""
    named = purchases.with_columns(order_key().alias("order"))
    ordered = named.sort("customer_id", "occurred_at", "order", maintain_order=True)
    return ordered.unique(["customer_id", "order", "item_id"], keep="first", maintain_order=True)


def line_by_line(purchases: pl.DataFrame) -> pl.DataFrame:
    """Purchases, each of them an `order` of its own: what comes next is the next line."""
    place = pl.int_range(pl.len()).over("customer_id").cast(pl.String)
    return purchases.with_columns(place.alias("order"))


def baskets(purchases: pl.DataFrame, vocabulary: Vocabulary) -> Baskets:
    """Of purchases with their `order`, each customer's side by side and in order of time."""
    numbers = vocabulary.table.select("item_id").with_row_index("number", 1)
    rows = purchases.select("customer_id", "occurred_at", "item_id", "order").join(
        numbers, on="item_id", how="left", maintain_order="left"
    )
    counts = rows.group_by("customer_id", maintain_order=True).len()
    starts = np.concatenate([[0], np.cumsum(counts["len"].to_numpy())]).astype(np.int64)
    is_new = rows.select(
        (pl.struct("customer_id", "order") != pl.struct("customer_id", "order").shift(1))
        .fill_null(True)
        .alias("is_new")
    )["is_new"].to_numpy()
    places = np.arange(rows.height)
    order_start = np.maximum.accumulate(np.where(is_new, places, 0)) if rows.height else places
    return Baskets(
        counts["customer_id"],
        starts,
        rows["number"].fill_null(NO_ITEM).to_numpy().astype(np.int32),
        rows["occurred_at"].cast(pl.Int64).to_numpy(),
        order_start,
    )


def end_to_end(parts: Sequence[Baskets]) -> Baskets:
    """Those of several shards as one."""
    offsets = np.cumsum([0, *(len(part.item) for part in parts)])
    pairs = list(zip(parts, offsets[:-1], strict=True))
    return Baskets(
        pl.concat([part.customer_ids for part in parts]),
        np.concatenate([[0], *(part.starts[1:] + offset for part, offset in pairs)]),
        np.concatenate([part.item for part in parts]),
        np.concatenate([part.at for part in parts]),
        np.concatenate([part.order_start + offset for part, offset in pairs]),
    )


@dataclass(frozen=True)
class Windows:
    """What is read of b customers: the purchases `start` to `end` of some baskets, at least one each."""

    start: np.ndarray  # (b,)
    end: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """How many purchases each has, shape (b,)."""
        lengths: np.ndarray = self.end - self.start
        return lengths

    def take(self, rows: np.ndarray) -> "Windows":
        """Those at some places."""
        return Windows(self.start[rows], self.end[rows])


def latest(first: np.ndarray, end: np.ndarray, settings: NextItemSettings) -> Windows:
    """The last purchases before each `end`, as many as are read, of customers whose first ones are at `first`."""
    return Windows(np.maximum(first, end - settings.max_events), end)


@dataclass(frozen=True)
class BasketBatch:
    """Right-padded purchases of b customers, each of shape (b, length)."""

    item: np.ndarray
    gap: np.ndarray  # logarithm of the days since the purchase before
    last: np.ndarray  # (b,) the place of each customer's last purchase in the flat arrays


def basket_batch(known: Baskets, windows: Windows) -> BasketBatch:
    """The purchases of some windows as arrays."""
    length = int(windows.lengths.max())
    place = np.arange(length)
    index = windows.start[:, None] + place
    is_there = index < windows.end[:, None]
    index = np.where(is_there, index, windows.start[:, None])
    before = np.maximum(index - 1, windows.start[:, None])
    days = (known.at[index] - known.at[before]) / MICROSECONDS_PER_DAY
    return BasketBatch(
        np.where(is_there, known.item[index], NO_ITEM).astype(np.int64),
        (np.log1p(np.maximum(days, 0.0)) / LOG_SCALE).astype(np.float32),
        np.arange(len(windows.end)) * length + windows.lengths - 1,
    )


@dataclass(frozen=True)
class NextOrders:
    """What follows n ends of orders within some windows: p pairs of an end and an item of the order after it."""

    places: np.ndarray  # (n,) of the ends, in the flat arrays of the batch
    end: np.ndarray  # (p,) which of them
    item: np.ndarray  # (p,)


def next_orders(known: Baskets, windows: Windows) -> NextOrders:
    """Every end of an order in the windows whose next order begins there too, and the known items of that."""
    length = int(windows.lengths.max())
    spans = zip(windows.start, windows.end, strict=True)
    lines = np.concatenate([np.arange(start + 1, end) for start, end in spans])
    row = np.repeat(np.arange(len(windows.end)), windows.lengths - 1)
    place = known.order_start[lines] - 1 - windows.start[row]
    counts = (place >= 0) & (known.item[lines] != NO_ITEM)
    places, end = np.unique((row * length + place)[counts], return_inverse=True)
    return NextOrders(places, end, known.item[lines][counts].astype(np.int64))


def num_next_items(known: Baskets, windows: Windows) -> np.ndarray:
    """How many pairs `next_orders` finds in each window, shape (b,)."""
    row = np.repeat(np.arange(len(windows.end)), windows.lengths)
    first = np.cumsum(windows.lengths) - windows.lengths
    lines = np.arange(len(row)) - np.repeat(first, windows.lengths) + windows.start[row]
    counts = (known.order_start[lines] > windows.start[row]) & (known.item[lines] != NO_ITEM)
    return np.bincount(row, weights=counts, minlength=len(windows.end)).astype(np.int64)
