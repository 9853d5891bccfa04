"""Features against hand-worked numbers, and that nothing at or after the cutoff can change them."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.features.categories import NUM_CATEGORIES, leading_categories, placed_items
from lifecycle.features.numbers import FEATURES, value_features
from lifecycle.features.prompts import value_prompts
from tests.builders import CUTOFF, ITEMS, cutoffs, make_events

PLACED = placed_items(ITEMS, ("coffee", "tea"))


def features_of(rows: list[dict[str, object]]) -> dict[str, float]:
    return value_features(make_events(rows), cutoffs("a"), 30, PLACED).row(0, named=True)


def test_recency_frequency_and_value() -> None:
    row = features_of(
        [{"day": -40, "amount": 10.0}, {"day": -20, "amount": 30.0}, {"day": -5, "amount": 20.0}]
    )
    assert (row["recency_days"], row["tenure_days"], row["num_orders"]) == (5.0, 40.0, 3.0)
    assert (row["total_spend"], row["mean_order_value"], row["max_order_value"]) == (
        60.0,
        20.0,
        30.0,
    )
    assert row["std_order_value"] == pytest.approx(np.std([10, 30, 20], ddof=1))
    assert (row["spend_7d"], row["spend_28d"], row["spend_56d"], row["spend_last_horizon"]) == (
        20.0,
        50.0,
        60.0,
        50.0,
    )
    assert (row["spend_bucket_0"], row["spend_bucket_1"]) == (50.0, 10.0)
    assert (row["mean_gap_days"], row["recency_over_gap"]) == (17.5, pytest.approx(5 / 17.5))
    assert (row["last_order_0_value"], row["last_order_1_value"], row["last_order_2_value"]) == (
        20.0,
        30.0,
        10.0,
    )
    assert (row["btyd_frequency"], row["btyd_recency"], row["btyd_age"]) == (2.0, 35.0, 40.0)


def test_costs_and_refunds_are_positive_sums_by_kind() -> None:
    row = features_of(
        [
            {"day": -9, "amount": 10.0, "cost": 6.0},
            {"day": -8, "kind": "refund", "amount": -4.0},
            {"day": -7, "kind": "support", "amount": None, "cost": 2.5},
            {"day": -6, "kind": "campaign", "amount": None, "cost": 0.5},
        ]
    )
    assert (row["total_refunded"], row["total_goods_cost"]) == (4.0, 6.0)
    assert (row["total_service_cost"], row["total_marketing_cost"]) == (2.5, 0.5)
    assert (row["refund_91d"], row["support_91d"], row["campaign_91d"]) == (1.0, 1.0, 1.0)


def test_amounts_of_cancelled_lines_count_in_the_spend_of_the_last_horizon_alone() -> None:
    kept: dict[str, object] = {
        "day": -5,
        "item_id": "i",
        "quantity": 2.0,
        "amount": 10.0,
        "order_id": "x",
    }
    typo = kept | {"quantity": 2000.0, "amount": 10_000.0, "cost": 500.0}
    typo |= {"discount": 7.0}
    row = features_of(
        [kept, typo, typo | {"day": -4.99, "kind": "refund", "amount": -10_000.0, "cost": None}]
    )
    assert (row["total_spend"], row["max_order_value"], row["spend_7d"], row["total_quantity"]) == (
        10,
        10,
        10,
        2,
    )
    assert (row["total_refunded"], row["total_goods_cost"], row["mean_unit_price"]) == (0, 0, 5)
    assert (
        row["total_cancelled"],
        row["total_discount"],
        row["discount_rate"],
        row["num_orders"],
    ) == (10_000, 0, 0, 1)
    assert row["spend_last_horizon"] == 10_010  # persistence expects it again


def test_customers_are_known_from_their_first_event_of_any_kind() -> None:
    campaign: dict[str, object] = {"day": -50, "kind": "campaign", "amount": None, "cost": 0.5}
    row = features_of([campaign, {"day": -9}])
    assert (row["known_days"], row["tenure_days"]) == (50.0, 9.0)
    row = features_of([campaign])
    assert (row["known_days"], row["tenure_days"], row["total_marketing_cost"]) == (50.0, None, 0.5)


def test_one_order_leaves_gaps_undefined_and_counts_zero() -> None:
    row = features_of([{"day": -3}])
    assert row["mean_gap_days"] is None
    assert row["orders_7d"] == 1.0
    assert row["support_91d"] == 0.0


def test_prices_discounts_and_what_the_money_went_for() -> None:
    row = features_of(
        [
            {"day": -100, "amount": 30.0, "quantity": 2.0, "item_id": "i", "discount": 10.0},
            {"day": -100, "amount": 10.0, "quantity": 1.0, "item_id": "i"},
            {"day": -9, "amount": 20.0, "quantity": 4.0, "item_id": "unknown", "discount": 5.0},
            {"day": -8, "amount": 20.0, "quantity": None, "item_id": None},
            {"day": -7, "amount": 8.0, "quantity": 0.0, "item_id": None},
        ]
    )
    assert (row["total_quantity"], row["mean_unit_price"], row["mean_unit_price_91d"]) == (
        7.0,
        60 / 7,
        5.0,
    )
    assert (row["discounted_lines"], row["discount_rate"]) == (0.4, 15 / 103)
    assert row["discount_rate_91d"] == 5 / 53
    assert (row["category_share_0"], row["category_share_1"], row["category_share_2"]) == (
        0.0,
        40 / 88,
        None,
    )
    assert (row["num_distinct_items"], row["num_distinct_categories"]) == (2.0, 1.0)


def test_prices_of_customers_who_paid_nothing_are_undefined() -> None:
    row = features_of([{"day": -3, "amount": 0.0, "item_id": "i"}])
    undefined = (
        "mean_unit_price",
        "discount_rate",
        *(f"category_share_{place}" for place in range(NUM_CATEGORIES)),
    )
    assert [row[name] for name in undefined] == [None] * len(undefined)
    assert (row["total_quantity"], row["discounted_lines"]) == (0.0, 0.0)


def test_season_is_that_of_the_same_days_a_year_ago_where_the_customer_was_there() -> None:
    orders = [{"day": day, "amount": 1.0} for day in (-363.0, -340, -334.1, -334, -100)]
    row = features_of([{"day": -364.0, "amount": 7.0}, *orders])
    assert (row["year_ago_spend"], row["year_ago_orders"]) == (10.0, 4.0)
    row = features_of(orders)
    assert (row["year_ago_spend"], row["year_ago_orders"]) == (None, None)


def test_leading_categories_are_those_most_was_spent_on() -> None:
    names = [f"Kind {number:02}" for number in range(12)]
    items = pl.DataFrame({"item_id": [*"abcdefghijkl", "x"], "category": [*names, None]})
    spend = pl.DataFrame(
        {"item_id": ["x", "l", "k", *"abcdefghij"], "amount": [99.0, 2.0, 3.0, *[1.0] * 10]}
    )
    leading = leading_categories(spend, items)
    assert leading == (
        "kind 10",
        "kind 11",
        *(f"kind {number:02}" for number in range(NUM_CATEGORIES - 2)),
    )
    placed = dict(placed_items(items, leading).select("item_id", "place").iter_rows())
    assert (placed["k"], placed["l"], placed["j"], "x" in placed) == (0, 1, -1, False)
    assert leading_categories(spend.clear(), items) == ()


DAYS = st.floats(-200, 60).filter(lambda day: day != 0) | st.sampled_from(
    [-1.5, -1.49, -0.01, 0.01]
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "day": DAYS,
            "amount": st.floats(0, 500).map(lambda amount: round(amount, 2)) | st.just(9.0),
            "kind": st.sampled_from(["purchase", "refund", "view", "support", "campaign"]),
            "order_id": st.sampled_from([None, "x", "y", "z"]),
            "item_id": st.sampled_from([None, "i", "unknown"]),
            "quantity": st.sampled_from([None, 0.0, 1.0, 2.5]),
            "discount": st.sampled_from([None, 0.0, 0.5]),
        }
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(past=ROWS, future=ROWS)
def test_events_at_or_after_the_cutoff_change_neither_features_nor_prompt(
    past: list[dict[str, object]], future: list[dict[str, object]]
) -> None:
    known = [{"day": -1.0}, *(row for row in past if float(str(row["day"])) < 0)]
    later = [row | {"day": abs(float(str(row["day"])))} for row in future] + [
        {"day": 0.0, "order_id": "x"}
    ]
    alone = make_events(known)
    together = make_events([*known, *later])
    results = []
    for events in (alone, together):
        features = value_features(events, cutoffs("a"), 30, PLACED)
        results.append((features, value_prompts(events, features, ITEMS, 1.0)))
    assert results[0][0].equals(results[1][0])
    assert results[0][1].equals(results[1][1])


def test_a_customer_has_the_same_features_alone_and_among_others_at_other_cutoffs() -> None:
    rows = [
        {"day": -30 + day, "customer_id": name, "amount": day + 1.0}
        for day in range(25)
        for name in ("a", "b")
    ]
    events = make_events(rows)
    both = pl.concat(
        [
            cutoffs("b"),
            cutoffs("a").with_columns(pl.col("cutoff") - timedelta(days=7)),
            cutoffs("a"),
        ]
    )
    together = value_features(events, both, 30, PLACED)
    alone = value_features(events.filter(pl.col("customer_id") == "a"), cutoffs("a"), 30, PLACED)
    assert together.filter((pl.col("customer_id") == "a") & (pl.col("cutoff") == CUTOFF)).equals(
        alone
    )
    assert together.columns == ["customer_id", "cutoff", *FEATURES]
