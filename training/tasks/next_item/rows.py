"""What task next_item learns from and is validated on: purchases in numbers, shard by shard, without torch.

They end where the test begins. Examples of split time are read order by order: validation is each
customer's first order in the window before the test cutoff. Those of leave_one_out are read line by
line: validation is the last line but one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from lifecycle.events.schema import is_purchase
from lifecycle.events.shards import read_items, read_shard, shard_paths
from lifecycle.features.baskets import (
    BASKET_COLUMNS,
    NO_ITEM,
    Baskets,
    Windows,
    baskets,
    by_order,
    end_to_end,
    latest,
    line_by_line,
    num_next_items,
)
from lifecycle.features.vocabulary import Vocabulary, fit_vocabulary
from training.prepare.dataset import Dataset, LeaveOneOutDataset, read_any_dataset
from training.tasks.recipes.next_item import NextItemRecipe

# Parts of a customer's purchases.
BEFORE = 0  # validation
VALIDATION = 1
AFTER = 2  # validation, and before the test
TEST = 3
Split = Callable[[pl.DataFrame], pl.DataFrame]  # adds the columns `order` and `part`


@dataclass(frozen=True)
class NextItemRows:
    """Purchases, and what is read of whom; a customer may train and validate."""

    known: Baskets
    vocabulary: Vocabulary
    num_bought: np.ndarray  # (items + 1,) training purchases by an item's number
    training: Windows  # with something to learn in each
    num_next: np.ndarray  # how much that is, per window
    validation: Windows
    first: np.ndarray  # of the customers of `validation`, where their purchases begin
    until: np.ndarray  # and where the validation purchases end, which follow the window


def read_next_item_rows(config: NextItemRecipe) -> NextItemRows:
    """Raises ValueError where there is no choice of items, or nothing to learn or to validate on."""
    items = read_items(config.data)
    if items.height < 2:
        raise ValueError(
            f"task next_item ranks the items of a catalogue, but that of {config.data} has {items.height}"
        )
    split = split_of(config.examples)
    end = TEST if config.learn_validation else VALIDATION
    customers = _customers_of_items(config.data, split, end)
    vocabulary = fit_vocabulary(customers, items, config.vocabulary)
    shards = []
    parts = []
    for path in shard_paths(config.data):
        lines = lines_before_test(path, split)
        shards.append(baskets(lines, vocabulary))
        parts.append(lines["part"].to_numpy())
    known = end_to_end(shards)
    rows = _rows(config, vocabulary, known, np.concatenate(parts), end)
    if not len(rows.num_next):
        raise ValueError(
            f"task next_item learns what follows a purchase, but in {config.data} nobody bought twice before "
            "the validation purchases"
        )
    if not len(rows.first):
        raise ValueError(
            f"task next_item is validated on who bought again before the test, but in {config.data} nobody did"
        )
    return rows


def _rows(
    config: NextItemRecipe, vocabulary: Vocabulary, known: Baskets, part: np.ndarray, end: int
) -> NextItemRows:
    """From the part of each purchase; those before part `end` are learned from."""
    first = known.starts[:-1]
    has_learned = part < end
    learned = _count(known, has_learned)
    training = latest(first, first + learned, config.sequence).take(learned > 0)
    num_next = num_next_items(known, training)
    before = _count(known, part == BEFORE)
    bought = _count(known, part == VALIDATION)
    is_wanted = (part == VALIDATION) & (known.item != NO_ITEM)
    is_validated = (before > 0) & (_count(known, is_wanted) > 0)
    ends = (first + before)[is_validated]
    return NextItemRows(
        known,
        vocabulary,
        np.bincount(known.item[has_learned], minlength=vocabulary.table.height + 1),
        training.take(num_next > 0),
        num_next[num_next > 0],
        latest(first[is_validated], ends, config.sequence),
        first[is_validated],
        ends + bought[is_validated],
    )


def _count(known: Baskets, chosen: np.ndarray) -> np.ndarray:
    """How many of each customer's purchases are chosen, shape (n,)."""
    total = np.concatenate([[0], np.cumsum(chosen)])
    counts: np.ndarray = total[known.starts[1:]] - total[known.starts[:-1]]
    return counts


def lines_before_test(path: Path, split: Split) -> pl.DataFrame:
    """Purchases of items of a shard before the test, with their `order` and `part`, by customer, part and time."""
    lines = read_shard(path, BASKET_COLUMNS)
    bought = split(lines.filter(is_purchase() & pl.col("item_id").is_not_null()))
    return bought.filter(pl.col("part") < TEST).sort("customer_id", "part", maintain_order=True)


def _customers_of_items(data: Path, split: Split, end: int) -> pl.DataFrame:
    """item_id and how many customers bought the item in the parts before `end`."""
    counts = [
        lines_before_test(path, split)
        .filter(pl.col("part") < end)
        .group_by("item_id")
        .agg(customers=pl.col("customer_id").n_unique())
        for path in shard_paths(data)
    ]
    return pl.concat(counts).group_by("item_id").agg(pl.col("customers").sum())


def reads_lines(config: NextItemRecipe) -> bool:
    """Whether the examples ask for the next line rather than for the next order."""
    return isinstance(read_any_dataset(config.examples), LeaveOneOutDataset)


def split_of(examples: Path) -> Split:
    """How the examples split a shard's purchases."""
    dataset = read_any_dataset(examples)
    if isinstance(dataset, LeaveOneOutDataset):
        held_out = [
            pl.read_parquet(examples / f"{part}.parquet").select(
                "customer_id", pl.col("position").alias(part)
            )
            for part in ("val", "test")
        ]
        return partial(_split_by_place, held_out)
    return partial(_split_by_time, dataset)


def _split_by_place(held_out: list[pl.DataFrame], purchases: pl.DataFrame) -> pl.DataFrame:
    """The last line but one is validation, the last one the test."""
    lines = line_by_line(purchases)
    for positions in held_out:
        lines = lines.join(positions, on="customer_id", how="left", maintain_order="left")
    place = pl.int_range(pl.len()).over("customer_id")
    part = (
        pl.when(place >= pl.col("test"))
        .then(TEST)
        .when(place == pl.col("val"))
        .then(VALIDATION)
        .otherwise(BEFORE)
    )
    return lines.with_columns(part.alias("part")).drop("val", "test")


def _split_by_time(dataset: Dataset, purchases: pl.DataFrame) -> pl.DataFrame:
    """The first order from the selection cutoff on is validation, what comes from the test cutoff on the test."""
    at = pl.col("occurred_at")
    selection, test = (
        pl.lit(datetime(day.year, day.month, day.day, tzinfo=UTC))
        for day in (dataset.selection.cutoff, dataset.test_cutoff)
    )
    first = pl.col("order").filter(at >= selection).first().over("customer_id")
    part = (
        pl.when(at >= test)
        .then(TEST)
        .when(at < selection)
        .then(BEFORE)
        .when(pl.col("order") == first)
        .then(VALIDATION)
        .otherwise(AFTER)
    )
    return by_order(purchases).with_columns(part.alias("part"))
