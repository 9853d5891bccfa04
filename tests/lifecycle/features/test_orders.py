"""Orders before a cutoff, against hand-worked numbers."""

from datetime import timedelta

import polars as pl

from lifecycle.events.timeline import timeline
from lifecycle.features.orders import Orders, orders_at
from tests.builders import cutoffs, make_events


def orders_of(rows: list[dict[str, object]], days_earlier: float = 0.0) -> Orders:
    at = cutoffs("a").with_columns(pl.col("cutoff") - timedelta(days=days_earlier))
    events, asked, _ = timeline(make_events(rows), at)
    return orders_at(events.purchases(), asked)


def test_lines_of_one_order_are_one_order_and_only_those_before_the_cutoff_count() -> None:
    orders = orders_of(
        [
            {"day": -2, "order_id": "x", "amount": 5.0},
            {"day": -2, "order_id": "x", "amount": 7.0},
            {"day": 0, "order_id": "x", "amount": 100.0},
            {"day": -1, "order_id": "y", "amount": 2.0},
        ]
    )
    assert (orders.amount.tolist(), orders.num_lines.tolist()) == ([12.0, 2.0], [2, 1])


def test_an_order_of_several_instants_begins_with_the_first() -> None:
    orders = orders_of(
        [
            {"day": -1, "order_id": "x", "amount": 5.0},
            {"day": -2, "order_id": "y", "amount": 1.0},
            {"day": -3, "order_id": "x", "amount": 7.0},
        ]
    )
    assert (orders.amount.tolist(), orders.age_days.tolist()) == ([12.0, 1.0], [3.0, 2.0])


def test_lines_without_order_id_are_one_order_per_day() -> None:
    assert orders_of([{"day": -2}, {"day": -1.9}, {"day": -1}]).amount.tolist() == [2.0, 1.0]


def test_orders_of_one_instant_come_by_their_keys_in_whatever_order_they_were_given() -> None:
    keys = ["b", "a", "10", "9"]
    rows = [{"day": -1, "order_id": key, "amount": float(ord(key[0]))} for key in keys]
    expected = [float(ord(key[0])) for key in sorted(keys)]
    assert orders_of(rows).amount.tolist() == expected
    assert orders_of(rows[::-1]).amount.tolist() == expected


def test_a_cancelled_line_counts_until_the_refund_that_takes_it_back() -> None:
    typo: dict[str, object] = {"day": -3, "item_id": "i", "quantity": 900.0, "amount": 1800.0}
    typo |= {"order_id": "x"}
    other: dict[str, object] = {"day": -3, "item_id": "j", "amount": 5.0, "order_id": "x"}
    back = typo | {"day": -2.97, "kind": "refund", "quantity": -900.0, "amount": -1800.0}
    orders = orders_of([typo, other, back])
    assert (orders.amount.tolist(), orders.gross.tolist()) == ([5.0], [1805.0])
    assert orders.num_lines.tolist() == [2]
    assert orders_of([typo, other, back], 2.98).amount.tolist() == [1805.0]  # nobody knew yet
