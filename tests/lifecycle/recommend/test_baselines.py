"""Popularity, personal frequency and the groups they are reported for."""

from collections import Counter
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from lifecycle.recommend.baselines import (
    item_popularity,
    merge_popularity,
    personal_frequency,
    popularity,
)
from lifecycle.recommend.groups import customer_group, split_truth

CUTOFF = datetime(2024, 3, 1, tzinfo=UTC)
NO_IDS = pl.Series("customer_id", [], dtype=pl.String)


def purchases(*rows: tuple[str, str | None, str | None, float]) -> pl.DataFrame:
    """Lines (customer_id, order_id, item_id, days before the cutoff)."""
    schema = {
        "customer_id": pl.String,
        "order_id": pl.String,
        "item_id": pl.String,
        "days": pl.Float64,
    }
    at = pl.lit(CUTOFF) - pl.duration(microseconds=(pl.col("days") * 86_400e6).cast(pl.Int64))
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.select(
        "customer_id", "order_id", "item_id", at.dt.cast_time_unit("us").alias("occurred_at")
    )


def random_purchases(seed: int, num_lines: int = 400) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    customers = random.integers(0, 15, num_lines)
    items = random.zipf(1.5, num_lines) % 30
    days = np.round(random.uniform(0.01, 150, num_lines), 1)
    rows = [
        (f"c{c}", f"o{c}-{d // 3}" if c % 2 else None, f"i{i:02d}", d)
        for c, i, d in zip(customers, items, days.tolist(), strict=True)
    ]
    return purchases(*rows)


def ranked(rankings: pl.DataFrame, customer_id: str) -> list[tuple[str, float]]:
    rows = rankings.filter(pl.col("customer_id") == customer_id)
    assert rows["rank"].to_list() == list(range(1, rows.height + 1))
    assert rows["score"].is_sorted(descending=True)
    return list(rows.select("item_id", "score").iter_rows())


def frequency_by_loop(
    lines: pl.DataFrame, popular: pl.DataFrame, customer_id: str, k: int
) -> list[str]:
    """Second route: one customer, plain Python."""
    orders: dict[str, set[str]] = {}
    last: dict[str, datetime] = {}
    for customer, order, item, at in lines.iter_rows():
        if customer == customer_id:
            orders.setdefault(item, set()).add(order or str(at.date()))
            last[item] = max(at, last.get(item, at))
    own = sorted(orders, key=lambda item: (-len(orders[item]), -last[item].timestamp(), item))
    return (own + [item for item in popular["item_id"] if item not in orders])[:k]


def test_popularity_counts_customer_days_inside_the_window() -> None:
    lines = purchases(
        ("a", "1", "tea", 1.0),
        ("a", "2", "tea", 1.2),
        ("a", "3", "tea", 5.0),
        ("b", None, "tea", 1.0),
        ("a", "1", "jam", 1.0),
        ("b", None, "jam", 10.0),
        ("b", None, "rye", 10.5),
        ("b", None, None, 2.0),
    )
    # 1.0 and 1.2 days before midnight are two days: the window is half-open, so exactly 10 days ago is inside.
    assert item_popularity(lines, cutoff=CUTOFF, window_days=10).rows() == [
        ("tea", 4.0),
        ("jam", 2.0),
        ("rye", 0.0),
    ]


def test_one_day_counts_once_however_often_it_is_bought() -> None:
    lines = purchases(
        ("a", "1", "tea", 0.2),
        ("a", "2", "tea", 0.4),
        ("a", "2", "tea", 0.4),
        ("b", "3", "tea", 0.4),
    )
    assert item_popularity(lines, cutoff=CUTOFF).rows() == [("tea", 2.0)]


def test_popularity_of_shards_adds_up_to_that_of_the_whole() -> None:
    lines = random_purchases(1)
    whole = item_popularity(lines, cutoff=CUTOFF, window_days=60)
    long_id = pl.col("customer_id").str.len_chars() > 2
    parts = [lines.filter(long_id), lines.filter(~long_id)]
    assert merge_popularity(
        [item_popularity(part, cutoff=CUTOFF, window_days=60) for part in parts]
    ).equals(whole)


def test_popularity_recommends_the_same_items_to_all_and_skips_seen_ones_on_request() -> None:
    lines = purchases(
        ("a", "1", "tea", 1), ("b", "2", "tea", 2), ("b", "2", "jam", 2), ("c", "3", "rye", 3)
    )
    popular = item_popularity(lines, cutoff=CUTOFF)
    ids = pl.Series(["b", "stranger", "a"])
    offered = popularity(lines, popular, ids, cutoff=CUTOFF, k=2, exclude_seen=False)
    assert offered["customer_id"].to_list() == ["b", "b", "stranger", "stranger", "a", "a"]
    assert all(ranked(offered, customer) == [("tea", 2.0), ("jam", 1.0)] for customer in ids)
    unseen = popularity(lines, popular, ids, cutoff=CUTOFF, k=2, exclude_seen=True)
    assert ranked(unseen, "b") == [("rye", 1.0)]
    assert ranked(unseen, "a") == [("jam", 1.0), ("rye", 1.0)]
    assert ranked(unseen, "stranger") == [("tea", 2.0), ("jam", 1.0)]


@pytest.mark.parametrize("k", [1, 7, 40])
def test_personal_frequency_equals_a_loop_over_each_customer(k: int) -> None:
    lines = random_purchases(2)
    popular = item_popularity(lines, cutoff=CUTOFF, window_days=30)
    ids = pl.Series([f"c{number}" for number in range(16)])
    rankings = personal_frequency(lines, popular, ids, cutoff=CUTOFF, k=k, exclude_seen=False)
    for customer in ids:
        expected = frequency_by_loop(lines, popular, customer, k)
        assert [item for item, _ in ranked(rankings, customer)] == expected


def test_padding_never_scores_like_an_own_item() -> None:
    lines = random_purchases(3)
    ids = lines["customer_id"].unique().sort()
    popular = item_popularity(lines, cutoff=CUTOFF)
    rankings = personal_frequency(lines, popular, ids, cutoff=CUTOFF, k=30, exclude_seen=False)
    own = lines.select("customer_id", "item_id").unique()
    assert rankings.join(own, on=["customer_id", "item_id"])["score"].min() == 1.0
    assert (rankings.join(own, on=["customer_id", "item_id"], how="anti")["score"] < 1.0).all()


def test_personal_frequency_without_seen_items_is_popularity_without_them() -> None:
    lines = random_purchases(4)
    popular = item_popularity(lines, cutoff=CUTOFF)
    ids = lines["customer_id"].unique().sort()
    ours = personal_frequency(lines, popular, ids, cutoff=CUTOFF, k=9, exclude_seen=True)
    expected = popularity(lines, popular, ids, cutoff=CUTOFF, k=9, exclude_seen=True)
    assert ours.drop("score").equals(expected.drop("score"))
    assert ours.join(lines, on=["customer_id", "item_id"]).is_empty()


def test_events_at_or_after_the_cutoff_and_the_order_of_rows_change_nothing() -> None:
    lines = random_purchases(5)
    ids = pl.Series(["c3", "c1", "c9"])
    later = random_purchases(6).with_columns(
        pl.lit(CUTOFF).cast(pl.Datetime("us", "UTC")).alias("occurred_at")
    )
    mixed = pl.concat([later, lines.sample(fraction=1.0, shuffle=True, seed=1)])
    popular = item_popularity(lines, cutoff=CUTOFF)
    assert item_popularity(mixed, cutoff=CUTOFF).equals(popular)
    for exclude_seen in (False, True):
        for rank_items in (popularity, personal_frequency):
            clean = rank_items(lines, popular, ids, cutoff=CUTOFF, k=12, exclude_seen=exclude_seen)
            assert rank_items(
                mixed, popular, ids, cutoff=CUTOFF, k=12, exclude_seen=exclude_seen
            ).equals(clean)


def test_no_customers_and_no_purchases_give_empty_rankings() -> None:
    lines = random_purchases(7)
    popular = item_popularity(lines, cutoff=CUTOFF)
    assert personal_frequency(
        lines, popular, NO_IDS, cutoff=CUTOFF, k=3, exclude_seen=False
    ).is_empty()
    nothing = item_popularity(lines.clear(), cutoff=CUTOFF)
    assert personal_frequency(
        lines.clear(), nothing, pl.Series(["a"]), cutoff=CUTOFF, k=3, exclude_seen=False
    ).is_empty()


def test_popularity_window_must_have_a_day() -> None:
    with pytest.raises(ValueError, match="window_days is 0"):
        item_popularity(random_purchases(1), cutoff=CUTOFF, window_days=0)


def test_customer_groups_by_number_of_orders() -> None:
    assert Counter(map(customer_group, range(8))) == {"new": 2, "thin": 3, "rich": 3}
    assert [customer_group(number) for number in (1, 2, 4, 5)] == ["new", "thin", "thin", "rich"]
    with pytest.raises(ValueError, match="num_orders is -1"):
        customer_group(-1)


def test_truth_splits_into_repeated_and_new_items() -> None:
    assert split_truth({"tea", "jam"}, {"tea", "rye"}) == ({"tea"}, {"jam"})
