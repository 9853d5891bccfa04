"""What task rerank learns from: prompts as re-ranking writes them, and the title of what was bought next.

Purchases are split as those of task next_item: what is learned ends where rankers are chosen, and
validation where the test begins.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from lifecycle.events.shards import read_items, shard_paths
from lifecycle.recommend.prompts import PROMPT_LINES, UNTITLED, history_prompt, item_texts
from training.tasks.next_item.rows import BEFORE, VALIDATION, lines_before_test, split_of
from training.tasks.recipes.rerank import RerankRecipe


@dataclass(frozen=True)
class NextTitle:
    """A customer's prompt before an order, and the title of one of its items."""

    prompt: str
    title: str


def read_next_titles(config: RerankRecipe) -> tuple[list[NextTitle], list[NextTitle]]:
    """What to train on, and what to validate on; of an order one item, drawn by the recipe's seed.

    Raises ValueError where there is nothing of the one or the other.
    """
    texts = item_texts(read_items(config.data))
    random = np.random.default_rng(config.seed)
    split = split_of(config.examples)
    training: list[NextTitle] = []
    validation: list[NextTitle] = []
    for path in shard_paths(config.data):
        for orders in _orders(lines_before_test(path, split), texts):
            training += _learned(orders, texts, config.orders_per_customer, random)
            validation += _validated(orders, texts, random)
    for name, found in (("learn from", training), ("validate on", validation)):
        if not found:
            raise ValueError(
                f"task rerank has nothing to {name}: in {config.data} nobody bought an item with a title then"
            )
    if len(training) > config.max_examples:
        chosen = random.choice(len(training), config.max_examples, replace=False)
        training = [training[place] for place in sorted(chosen)]
    return training, validation


@dataclass(frozen=True)
class Orders:
    """A customer's purchases in the catalogue, oldest first; order n is `items[starts[n]:starts[n + 1]]`."""

    items: list[str]
    starts: list[int]
    part: list[int]  # of each order


def _orders(lines: pl.DataFrame, texts: Mapping[str, str]) -> Iterator[Orders]:
    """Customer by customer, from lines in the order of parts and time."""
    known = lines.filter(pl.col("item_id").is_in(list(texts)))
    customers = known.group_by("customer_id", maintain_order=True).agg("item_id", "order", "part")
    for _, items, orders, parts in customers.iter_rows():
        starts = [
            place
            for place, order in enumerate(orders)
            if place == 0 or order != orders[place - 1] or parts[place] != parts[place - 1]
        ]
        yield Orders(items, [*starts, len(items)], [parts[start] for start in starts])


def _learned(
    orders: Orders, texts: Mapping[str, str], most: int, random: np.random.Generator
) -> list[NextTitle]:
    """Of the last orders that are learned; before a customer's first one the prompt is that of nobody."""
    learned = [number for number, part in enumerate(orders.part) if part == BEFORE]
    return _titles_of(orders, learned[-most:], texts, random)


def _validated(
    orders: Orders, texts: Mapping[str, str], random: np.random.Generator
) -> list[NextTitle]:
    """Of the validation order of a customer who had bought before."""
    wanted = [number for number, part in enumerate(orders.part) if part == VALIDATION]
    has_bought = orders.part[0] == BEFORE
    return _titles_of(orders, wanted[:1], texts, random) if has_bought else []


def _titles_of(
    orders: Orders, numbers: list[int], texts: Mapping[str, str], random: np.random.Generator
) -> list[NextTitle]:
    found = []
    for number in numbers:
        start, end = orders.starts[number], orders.starts[number + 1]
        title = texts[orders.items[int(random.integers(start, end))]]
        if title != UNTITLED:
            before = orders.items[max(0, start - PROMPT_LINES) : start]
            found.append(NextTitle(history_prompt(before, texts), title))
    return found
