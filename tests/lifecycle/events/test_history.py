"""Orders, customers and outcomes around a cutoff, against hand-worked numbers."""

import pytest

from lifecycle.events.history import (
    customers_at,
    known_at,
    not_bought_at,
    outcomes,
    prospects_at,
    with_cancellations,
)
from tests.builders import CUTOFF, cutoffs, make_events


def test_an_event_at_the_cutoff_is_not_known() -> None:
    events = make_events([{"day": -1}, {"day": 0}, {"day": 1}])
    known = known_at(events, cutoffs("a"))
    assert known["event_id"].to_list() == ["0"]
    assert known["age_days"].to_list() == [1.0]


MISTYPED: dict[str, object] = {
    "day": -3,
    "item_id": "i",
    "quantity": 900.0,
    "amount": 1800.0,
    "order_id": "x",
}
TAKEN_BACK = MISTYPED | {
    "day": -2.97,
    "kind": "refund",
    "quantity": -900.0,
    "amount": -1800.0,
    "order_id": "Cx",
}


def test_a_line_that_a_refund_takes_back_whole_within_the_hour_is_cancelled() -> None:
    other: dict[str, object] = {"day": -3, "item_id": "j", "amount": 5.0, "order_id": "x"}
    events = with_cancellations(make_events([MISTYPED, other, TAKEN_BACK]))
    assert events["cancelled_at"].is_not_null().to_list() == [True, False, True]


@pytest.mark.parametrize(
    "refund",
    [
        {"day": -2.9},  # it may have been sent
        {"day": -3.1},  # before it was bought
        {"quantity": -899.0},
        {"amount": -1700.0},
        {"item_id": "j"},
        {"customer_id": "b"},
        {"kind": "support"},
    ],
)
def test_other_refunds_cancel_nothing(refund: dict[str, object]) -> None:
    events = with_cancellations(make_events([MISTYPED, TAKEN_BACK | refund]))
    assert events["cancelled_at"].null_count() == 2


def test_a_line_is_cancelled_once_and_the_latest_of_equal_ones_first() -> None:
    again = MISTYPED | {"day": -2.99, "order_id": "y"}
    events = with_cancellations(
        make_events([MISTYPED, again, TAKEN_BACK, TAKEN_BACK | {"day": -2.96}])
    )
    assert events["cancelled_at"].is_not_null().to_list() == [False, True, True, False]


def test_an_order_with_a_line_twice_is_cancelled_whole() -> None:
    events = with_cancellations(
        make_events([MISTYPED, MISTYPED, TAKEN_BACK, TAKEN_BACK, TAKEN_BACK])
    )
    assert events["cancelled_at"].is_not_null().to_list() == [True, True, True, True, False]


def test_nothing_is_cancelled_without_refunds_or_events() -> None:
    for rows in ([], [MISTYPED], [TAKEN_BACK], [{"day": -1, "kind": "view", "amount": None}]):
        assert with_cancellations(make_events(rows))["cancelled_at"].null_count() == len(rows)


def test_customers_need_a_purchase_before_the_cutoff() -> None:
    events = make_events(
        [
            {"day": -1, "customer_id": "old"},
            {"day": 0, "customer_id": "new"},
            {"day": -1, "customer_id": "viewer", "kind": "view"},
        ]
    )
    assert customers_at(events, CUTOFF)["customer_id"].to_list() == ["old"]


def test_prospects_have_yet_to_buy_and_a_refund_says_that_somebody_bought() -> None:
    rows = [
        {"day": -1, "customer_id": "buyer"},
        {"day": -1, "customer_id": "viewer", "kind": "view"},
        {"day": -1, "customer_id": "returner", "kind": "refund", "amount": -5.0},
        {"day": -2, "customer_id": "returner and viewer", "kind": "view"},
        {"day": -1, "customer_id": "returner and viewer", "kind": "refund", "amount": -5.0},
        {"day": -1, "customer_id": "viewer who returns later", "kind": "view"},
        {"day": 0, "customer_id": "viewer who returns later", "kind": "refund", "amount": -5.0},
        {"day": 0, "customer_id": "later", "kind": "view"},
    ]
    events = make_events(rows)
    viewers = ["viewer", "viewer who returns later"]
    assert prospects_at(events, CUTOFF)["customer_id"].to_list() == viewers
    everybody = ["returner", "returner and viewer", *viewers]
    assert not_bought_at(events, CUTOFF)["customer_id"].to_list() == everybody


def test_target_is_gross_within_the_half_open_window_and_net_subtracts_refunds() -> None:
    events = make_events(
        [
            {"day": -1, "amount": 50.0},
            {"day": 0, "amount": 10.0},
            {"day": 5, "amount": -4.0, "kind": "refund"},
            {"day": 9.9, "amount": 3.0, "kind": "renewal"},
            {"day": 10, "amount": 99.0},
        ]
    )
    result = outcomes(events, cutoffs("a", "nobody"), 10)
    assert result["target"].to_list() == [13.0, 0.0]
    assert result["actual_net"].to_list() == [9.0, 0.0]
    assert result["num_orders_ahead"].to_list() == [2, 0]
