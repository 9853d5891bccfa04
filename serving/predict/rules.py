"""Rules of a whole list: nothing that was bought lately, so many items of a category, a share of new ones."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta

import polars as pl

from serving.predict.queries import RecommendOptions

LONGER = 4  # times as many items are ranked where the rules let too few of them through
PAIR = ["customer_id", "item_id"]


def first_by_rules(
    rank: Callable[[int], pl.DataFrame],
    bought: pl.DataFrame,
    cutoffs: pl.DataFrame,
    options: RecommendOptions,
    num_items: int,
) -> pl.DataFrame:
    """The best `options.k` items of each customer that keep the rules, in the order of the ranking.

    `rank` makes rankings (customer_id, item_id, category and more, best first) of a length, of at
    most `num_items`. `bought` has the purchases before the `cutoffs`, a row per customer. A list
    takes the best item that it may still have; it is shorter where no other keeps the rules.
    """
    if not options.has_rules:
        return rank(options.k)
    lately = _lately(bought, cutoffs, options.bought_within_days)
    length = options.k
    while True:
        length = min(LONGER * length, num_items)
        ranked = rank(length).join(lately, on=PAIR, how="anti", maintain_order="left")
        chosen = ranked.filter(_choice(ranked, bought, options))
        full = chosen.group_by("customer_id").len().filter(pl.col("len") == options.k).height
        if length == num_items or full == cutoffs.height:
            return chosen


def _lately(bought: pl.DataFrame, cutoffs: pl.DataFrame, days: int | None) -> pl.DataFrame:
    """customer_id and item_id of what was bought within so many days before the cutoffs."""
    if days is None:
        return bought.clear().select(PAIR)
    since = pl.col("cutoff") - timedelta(days=days)
    known = bought.join(cutoffs, on="customer_id")
    return known.filter(pl.col("occurred_at") >= since).select(PAIR).unique()


def _choice(ranked: pl.DataFrame, bought: pl.DataFrame, options: RecommendOptions) -> pl.Series:
    """Which rows of the rankings are in the lists."""
    seen = bought.select(PAIR).unique().with_columns(is_new=pl.lit(False))
    known = ranked.join(seen, on=PAIR, how="left", maintain_order="left")
    rows = known.select("customer_id", "category", pl.col("is_new").fill_null(True))
    chosen: list[bool] = []
    for _, list_rows in rows.group_by("customer_id", maintain_order=True):
        chosen += _of_list(list_rows["category"], list_rows["is_new"], options)
    return pl.Series(chosen, dtype=pl.Boolean)


def _of_list(
    categories: Iterable[str | None], are_new: Iterable[bool], options: RecommendOptions
) -> Iterator[bool]:
    """Row by row whether it is taken; items without a category stand each for itself."""
    left = options.k
    known_left = options.k - math.ceil(options.min_new_share * options.k)
    of_category: Counter[str] = Counter()
    for category, is_new in zip(categories, are_new, strict=True):
        most = options.max_per_category
        is_full = most is not None and category is not None and of_category[category] >= most
        is_taken = left > 0 and not is_full and (is_new or known_left > 0)
        if is_taken:
            left -= 1
            known_left -= not is_new
            if category is not None:
                of_category[category] += 1
        yield is_taken


def cutoff_frame(names: Sequence[str], as_of: Sequence[datetime]) -> pl.DataFrame:
    """customer_id and cutoff."""
    return pl.DataFrame({"customer_id": names, "cutoff": as_of})
