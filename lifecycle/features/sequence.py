"""A customer's history as a sequence of events in numbers, for an encoder that reads events instead of a prompt.

Each event is one position: item, category, title, kind, amount, running sums of money, the gap
since the event before it, the day of the week, and how long before the cutoff it lies. A last
position, the query, carries the cutoff's day of the week, the tenure and the horizon. Time counts
back from the cutoff: with dates instead, whatever is served lies beyond the dates that were trained
on (on The Complete Journey the bias at the last training cutoff was 1.2). Nothing at or after the
cutoff is read.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from pydantic import Field, model_validator

from lifecycle.config import Config
from lifecycle.events.schema import ENCODED_KINDS
from lifecycle.features.vocabulary import NONE, UNKNOWN, Vocabulary

SEQUENCE_VERSION = "sequence-2"
QUERY_KIND = len(ENCODED_KINDS)
WEEK_DAYS = 7.0
AGE_PERIODS_DAYS = (28.0, 91.0, 182.0, 364.0)
HALF_LIVES_DAYS = (14.0, 56.0, 182.0)  # of the running sums of money
# Columns of the features; those of waves have the sines first, the cosines after them.
AMOUNT = 0
GAP = 1
AGE = 2
TENURE = 3  # of the query alone, as is the next
HORIZON = 4
FIRST_WAVE = 5
NUM_WAVES = 1 + len(AGE_PERIODS_DAYS)  # of the day of the week, and of the age with each period
FIRST_SUM = FIRST_WAVE + 2 * NUM_WAVES
NUM_FEATURES = FIRST_SUM + len(HALF_LIVES_DAYS)
MICROSECONDS_PER_DAY = 86_400_000_000
LOG_SCALE = 5.0


class SequenceSettings(Config):
    """Size of the encoder, a LLaMA of its own, and how much of a history it reads."""

    hidden_size: int = Field(32, ge=8)
    num_layers: int = Field(1, ge=1)
    num_heads: int = Field(4, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)  # of the inputs
    max_events: int = Field(256, ge=1)  # of a customer, the latest
    # Before the cutoff that are read; None: the training task decides.
    history_days: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _heads_divide(self) -> "SequenceSettings":
        check_heads(self.hidden_size, self.num_heads)
        return self


def check_heads(hidden_size: int, num_heads: int) -> None:
    """ValueError where heads would not be equally wide, or of an odd width, which no position can turn."""
    if hidden_size % (2 * num_heads):
        raise ValueError(
            f"hidden_size is {hidden_size}; it must be a multiple of 2 x num_heads = {2 * num_heads}"
        )


@dataclass(frozen=True)
class Histories:
    """Events of n customers end to end, m in all; those of customer c lie from starts[c] to starts[c + 1]."""

    customer_ids: pl.Series  # (n,)
    starts: np.ndarray  # (n + 1,)
    at: np.ndarray  # (m,) microseconds since 1970
    item: np.ndarray  # (m,)
    category: np.ndarray
    title: np.ndarray
    kind: np.ndarray
    amount: np.ndarray  # (m,) money in, in the vocabulary's unit; refunds negative, 0 for none


def histories(events: pl.DataFrame, vocabulary: Vocabulary) -> Histories:
    """The histories of the customers of some events, which are sorted by customer and time.

    Events of kinds that encoders do not know are left out, and so is who has no others.
    """
    events = events.filter(pl.col("kind").is_in(ENCODED_KINDS))
    placed = events.select("customer_id", "occurred_at", "kind", "item_id", "amount").join(
        vocabulary.table, on="item_id", how="left", maintain_order="left"
    )
    unknown = pl.when(pl.col("item_id").is_null()).then(NONE).otherwise(UNKNOWN)
    kinds = {name: number for number, name in enumerate(ENCODED_KINDS)}
    columns = placed.select(
        pl.col("occurred_at").cast(pl.Int64),
        pl.coalesce("item", unknown).cast(pl.Int32),
        pl.coalesce("category", unknown).cast(pl.Int32),
        pl.col("title").fill_null(NONE).cast(pl.Int32),
        pl.col("kind").replace_strict(kinds, return_dtype=pl.Int8),
        (pl.col("amount").fill_null(0.0) / vocabulary.money_unit).cast(pl.Float32),
    )
    counts = events.group_by("customer_id", maintain_order=True).len()
    starts = np.concatenate([[0], np.cumsum(counts["len"].to_numpy())]).astype(np.int64)
    return Histories(
        counts["customer_id"], starts, *(columns[name].to_numpy() for name in columns.columns)
    )


@dataclass(frozen=True)
class Window:
    """What is read of one customer: events `start` to `end` of some histories, then a query at `cutoff`."""

    first: int  # the first event that is remembered
    start: int
    end: int
    cutoff: int  # microseconds since 1970

    @property
    def length(self) -> int:
        """Positions, the query among them."""
        return self.end - self.start + 1


def window_of(known: Histories, customer: int, cutoff: int, settings: SequenceSettings) -> Window:
    """The latest events of a customer before a cutoff, as many as are read: at least one, where there is one."""
    first = int(known.starts[customer])
    last = int(known.starts[customer + 1])
    end = first + int(np.searchsorted(known.at[first:last], cutoff, side="left"))
    if settings.history_days is not None:
        oldest = cutoff - settings.history_days * MICROSECONDS_PER_DAY
        remembered = first + int(np.searchsorted(known.at[first:end], oldest, side="left"))
        latest = max(first, end - 1)
        first = min(remembered, latest)
    return Window(first, max(first, end - settings.max_events), end, cutoff)


@dataclass(frozen=True)
class SequenceBatch:
    """Right-padded positions of b customers, each of shape (b, length) or (b, length, NUM_FEATURES)."""

    item: np.ndarray
    category: np.ndarray
    title: np.ndarray
    kind: np.ndarray
    features: np.ndarray
    lengths: np.ndarray  # (b,): the query stands at lengths - 1


def sequence_batch(
    known: Histories, windows: Sequence[Window], horizon_days: float
) -> SequenceBatch:
    """The positions of some windows as arrays."""
    lengths = np.array([window.length for window in windows])
    shape = len(windows), int(lengths.max())
    item, category, title, kind = (np.zeros(shape, dtype=np.int64) for _ in range(4))
    batch = SequenceBatch(
        item, category, title, kind, np.zeros((*shape, NUM_FEATURES), np.float32), lengths
    )
    for row, window in enumerate(windows):
        _fill(batch, row, known, window, horizon_days)
    return batch


def _fill(
    batch: SequenceBatch, row: int, known: Histories, window: Window, horizon_days: float
) -> None:
    """Write a window into a row: its events, then the query."""
    events = slice(window.start, window.end)
    count = window.end - window.start
    batch.item[row, :count] = known.item[events]
    batch.category[row, :count] = known.category[events]
    batch.title[row, :count] = known.title[events]
    batch.kind[row, :count] = known.kind[events]
    batch.kind[row, count] = QUERY_KIND
    _fill_features(batch.features[row, : count + 1], known, window, horizon_days)


def _fill_features(
    features: np.ndarray, known: Histories, window: Window, horizon_days: float
) -> None:
    """Write the features of a window's events and query, shape (events + 1, NUM_FEATURES), over zeros."""
    events = slice(window.start, window.end)
    days = np.append(known.at[events], window.cutoff) / MICROSECONDS_PER_DAY
    cutoff = days[-1]
    age = cutoff - days
    amount = known.amount[events]
    features[:-1, AMOUNT] = np.sign(amount) * np.log1p(np.abs(amount)) / LOG_SCALE
    gaps = np.diff(days, prepend=_day_before(known, window, days[0]))
    features[:, GAP] = np.log1p(gaps) / LOG_SCALE
    features[:, AGE] = np.log1p(age) / LOG_SCALE
    features[-1, TENURE] = math.log1p(cutoff - _first_day(known, window, cutoff)) / LOG_SCALE
    features[-1, HORIZON] = math.log1p(horizon_days) / LOG_SCALE
    turns = np.column_stack([days / WEEK_DAYS, age[:, None] / np.array(AGE_PERIODS_DAYS)])
    angles = 2.0 * math.pi * turns
    features[:, FIRST_WAVE:FIRST_SUM] = np.hstack([np.sin(angles), np.cos(angles)])
    features[:, FIRST_SUM:] = _running_sums(known, window)[-len(days) :] / LOG_SCALE


def _day_before(known: Histories, window: Window, otherwise: float) -> float:
    """When the last event before those that are read was, if one is remembered."""
    if window.start == window.first:
        return otherwise
    return float(known.at[window.start - 1] / MICROSECONDS_PER_DAY)


def _first_day(known: Histories, window: Window, otherwise: float) -> float:
    """When the first event that is remembered was, if there is one."""
    if window.end == window.first:
        return otherwise
    return float(known.at[window.first] / MICROSECONDS_PER_DAY)


def _running_sums(known: Histories, window: Window) -> np.ndarray:
    """log(1 + money so far, decayed with each half-life) at a customer's events and the query, (events + 1, k)."""
    at = np.append(known.at[window.first : window.end], window.cutoff) / MICROSECONDS_PER_DAY
    age = (at - at[0])[:, None] / np.array(HALF_LIVES_DAYS)
    money = np.append(known.amount[window.first : window.end], 0.0)[:, None]
    sums: np.ndarray = np.log1p(np.maximum(np.cumsum(money * 2.0**age, axis=0) * 2.0**-age, 0.0))
    return sums
