"""Numbers that marketers know, by hand."""

from datetime import UTC, datetime

import pytest

from serving.predict.marketing import expected_next_order, marketing_numbers
from tests.serving.builders import events_of


def value_of(*revenue: float, expected_order_value: float = 20.0) -> dict[str, object]:
    return {
        "as_of": "2024-06-01T00:00:00+00:00",
        "clv": 50.0,
        "expected_orders": sum(revenue) / expected_order_value,
        "expected_order_value": expected_order_value,
        "churn_probability": 0.25,
        "periods": [{"t": t, "revenue": one} for t, one in enumerate(revenue, start=1)],
    }


def at(month: int, day: int) -> datetime:
    return datetime(2024, month, day, tzinfo=UTC)


def test_orders_of_several_lines_refunds_and_costs_are_each_counted_once() -> None:
    events = events_of(
        {"occurred_at": at(1, 1), "order_id": "a", "amount": 10.0},
        {"occurred_at": at(1, 1), "order_id": "a", "amount": 20.0},
        {"occurred_at": at(1, 21), "order_id": "b", "amount": 30.0},
        {"occurred_at": at(1, 31), "kind": "renewal", "amount": 40.0},  # an order by its day
        {"occurred_at": at(2, 1), "kind": "refund", "order_id": "b", "amount": -5.0},
        {"occurred_at": at(2, 2), "kind": "support", "amount": None, "cost": 7.0},
    )
    assert marketing_numbers(events, value_of(10.0, 20.0), 30) == {
        "historic_clv": 10 + 20 + 30 + 40 - 5 - 7,
        "predicted_clv": 50,
        "total_clv": 88 + 50,
        "historic_number_of_orders": 3,
        "predicted_number_of_orders": 1.5,
        "average_days_between_orders": 15,
        "average_order_value": pytest.approx(100 / 3),
        "churn_probability": 0.25,
        # Half an order in the first 30 days, a whole one in the next 30.
        "expected_date_of_next_order": "2024-07-16",
    }


def test_who_has_not_bought_has_no_averages() -> None:
    found = marketing_numbers(events_of()[:0], value_of(1.0), 30)
    assert (found["historic_clv"], found["historic_number_of_orders"]) == (0, 0)
    assert found["average_order_value"] is found["average_days_between_orders"] is None
    one = marketing_numbers(events_of({"occurred_at": at(1, 1)}), value_of(1.0), 30)
    assert one["average_days_between_orders"] is None and one["average_order_value"] == 10


@pytest.mark.parametrize(
    ("revenue", "worth", "expected"),
    [
        ((40.0,), 20.0, at(6, 16)),
        ((0.0, 20.0), 20.0, at(7, 31)),
        ((5.0, 5.0), 20.0, None),
    ],
)
def test_next_order_is_when_the_expected_orders_come_to_one(
    revenue: tuple[float, ...], worth: float, expected: datetime | None
) -> None:
    assert (
        expected_next_order(
            value_of(*revenue, expected_order_value=worth or 1.0) | {"expected_order_value": worth},
            30,
        )
        == expected
    )


def test_events_without_amounts_leave_sums_whole() -> None:
    events = events_of({"occurred_at": at(1, 1), "kind": "view", "amount": None})
    assert marketing_numbers(events, value_of(1.0), 30)["historic_clv"] == 0
