"""Features against hand-worked numbers, and that nothing at or after the cutoff can change them."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.features import FEATURES, value_features
from lifecycle.prompts import value_prompts
from tests.test_history import CUTOFF, cutoffs, make_events

ITEMS = pl.DataFrame({"item_id": ["i"], "title": ["Green tea"], "category": ["Tea"]})


def features_of(rows: list[dict[str, object]]) -> dict[str, float]:
    return value_features(make_events(rows), cutoffs("a"), 30).row(0, named=True)


def test_recency_frequency_and_value() -> None:
    row = features_of([{"day": -40, "amount": 10.0}, {"day": -20, "amount": 30.0}, {"day": -5, "amount": 20.0}])
    assert (row["recency_days"], row["tenure_days"], row["num_orders"]) == (5.0, 40.0, 3.0)
    assert (row["total_spend"], row["mean_order_value"], row["max_order_value"]) == (60.0, 20.0, 30.0)
    assert row["std_order_value"] == pytest.approx(np.std([10, 30, 20], ddof=1))
    assert (row["spend_7d"], row["spend_28d"], row["spend_56d"], row["spend_last_horizon"]) == (20.0, 50.0, 60.0, 50.0)
    assert (row["spend_bucket_0"], row["spend_bucket_1"]) == (50.0, 10.0)
    assert (row["mean_gap_days"], row["recency_over_gap"]) == (17.5, pytest.approx(5 / 17.5))
    assert (row["last_order_0_value"], row["last_order_1_value"], row["last_order_2_value"]) == (20.0, 30.0, 10.0)
    assert (row["btyd_frequency"], row["btyd_recency"], row["btyd_age"]) == (2.0, 35.0, 40.0)


def test_costs_and_refunds_are_positive_sums_by_kind() -> None:
    row = features_of([
        {"day": -9, "amount": 10.0, "cost": 6.0},
        {"day": -8, "kind": "refund", "amount": -4.0},
        {"day": -7, "kind": "support", "amount": None, "cost": 2.5},
        {"day": -6, "kind": "campaign", "amount": None, "cost": 0.5},
    ])  # fmt: skip
    assert (row["total_refunded"], row["total_goods_cost"]) == (4.0, 6.0)
    assert (row["total_service_cost"], row["total_marketing_cost"]) == (2.5, 0.5)
    assert (row["refund_91d"], row["support_91d"], row["campaign_91d"]) == (1.0, 1.0, 1.0)


def test_one_order_leaves_gaps_undefined_and_counts_zero() -> None:
    row = features_of([{"day": -3}])
    assert row["mean_gap_days"] is None
    assert row["orders_7d"] == 1.0
    assert row["support_91d"] == 0.0


DAYS = st.floats(-200, 60).filter(lambda day: day != 0)
ROWS = st.lists(
    st.fixed_dictionaries({
        "day": DAYS,
        "amount": st.floats(0, 500).map(lambda amount: round(amount, 2)),
        "kind": st.sampled_from(["purchase", "refund", "view", "support", "campaign"]),
        "order_id": st.sampled_from([None, "x", "y", "z"]),
        "item_id": st.sampled_from([None, "i", "unknown"]),
    }),
    max_size=12,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(past=ROWS, future=ROWS)
def test_events_at_or_after_the_cutoff_change_neither_features_nor_prompt(
    past: list[dict[str, object]], future: list[dict[str, object]]
) -> None:
    known = [{"day": -1.0}, *(row for row in past if float(str(row["day"])) < 0)]
    later = [row | {"day": abs(float(str(row["day"])))} for row in future] + [{"day": 0.0, "order_id": "x"}]
    alone, together = make_events(known), make_events([*known, *later])
    results = []
    for events in (alone, together):
        features = value_features(events, cutoffs("a"), 30)
        results.append((features, value_prompts(events, features, ITEMS)))
    assert results[0][0].equals(results[1][0])
    assert results[0][1].equals(results[1][1])


def test_a_customer_has_the_same_features_alone_and_among_others_at_other_cutoffs() -> None:
    rows = [{"day": -30 + day, "customer_id": name, "amount": day + 1.0} for day in range(25) for name in ("a", "b")]
    events = make_events(rows)
    both = pl.concat([cutoffs("b"), cutoffs("a").with_columns(pl.col("cutoff") - timedelta(days=7)), cutoffs("a")])
    together = value_features(events, both, 30)
    alone = value_features(events.filter(pl.col("customer_id") == "a"), cutoffs("a"), 30)
    assert together.filter((pl.col("customer_id") == "a") & (pl.col("cutoff") == CUTOFF)).equals(alone)
    assert together.columns == ["customer_id", "cutoff", *FEATURES]
