from collections import Counter
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from lifecycle.events.schema import EVENT_SCHEMA
from training.ingest import refunds
from training.ingest.refunds import MAX_LOOKED_AT, match_refunds


def matches(*rows: tuple[str, str, int, str | None, float | None, float]) -> dict[str, str]:
    """Refund to purchase; rows are (event_id, kind, day, order_id, quantity, amount) of one customer and item."""
    events = pl.DataFrame(
        [
            {
                "event_id": event,
                "kind": kind,
                "occurred_at": datetime(2024, 1, day, tzinfo=UTC),
                "order_id": order,
                "quantity": quantity,
                "amount": amount,
                "customer_id": "1",
                "item_id": "A",
            }
            for event, kind, day, order, quantity, amount in rows
        ],
        schema=EVENT_SCHEMA,
    )
    return dict(match_refunds(events).select("refund_id", "purchase_id").iter_rows())


EARLY = ("p1", "purchase", 1, "1", 2.0, 10.0)
LATE = ("p2", "purchase", 2, "2", 2.0, 10.0)


def test_refund_takes_back_the_latest_purchase_before_it() -> None:
    refund = ("r", "refund", 3, "C3", -2.0, -10.0)
    later = ("p4", "purchase", 4, "4", 2.0, 10.0)
    assert matches(EARLY, LATE, refund, later) == {"r": "p2"}


def test_refund_of_the_same_order_comes_first() -> None:
    assert matches(EARLY, LATE, ("r", "refund", 3, "1", -2.0, -10.0)) == {"r": "p1"}


def test_a_purchase_is_refunded_in_parts_but_not_twice() -> None:
    purchase = ("p", "purchase", 1, "1", 3.0, 30.0)
    refunds = [(f"r{number}", "refund", 2, None, -1.0, -10.0) for number in range(4)]
    assert matches(purchase, *refunds) == {"r0": "p", "r1": "p", "r2": "p"}


def test_refund_of_more_than_was_bought_or_before_it_stays_unmatched() -> None:
    assert matches(("p", "purchase", 1, "1", 1.0, 5.0), ("r", "refund", 2, "1", -2.0, -10.0)) == {}
    assert matches(("r", "refund", 1, "1", -1.0, -5.0), ("p", "purchase", 2, "1", 1.0, 5.0)) == {}


def test_without_quantities_the_amount_decides() -> None:
    purchase = ("p", "renewal", 1, "1", 1.0, 20.0)
    assert matches(
        purchase, ("r1", "refund", 2, None, None, -12.0), ("r2", "refund", 3, None, None, -9.0)
    ) == {"r1": "p"}


def test_other_customers_and_items_are_not_matched() -> None:
    names = ["event_id", "kind", "customer_id", "item_id"]
    bought = [("p", "purchase", "1", "A"), ("q", "purchase", "2", "B")]
    taken_back = [("r", "refund", "2", "A"), ("s", "refund", "2", None)]
    events = pl.DataFrame([*bought, *taken_back], schema=names, orient="row").with_columns(
        occurred_at=datetime(2024, 1, 1, tzinfo=UTC), amount=1.0, order_id=None, quantity=None
    )
    assert match_refunds(events).is_empty()


def test_refund_of_several_purchases_is_shared_among_them_latest_first() -> None:
    events = pl.DataFrame(
        [
            {
                "event_id": event,
                "kind": kind,
                "occurred_at": datetime(2024, 1, day, tzinfo=UTC),
                "order_id": None,
                "quantity": quantity,
                "amount": 5.0 * quantity,
                "customer_id": "1",
                "item_id": "A",
            }
            for event, kind, day, quantity in [
                ("p1", "purchase", 1, 6.0),
                ("p2", "purchase", 2, 6.0),
                ("r", "refund", 3, -10.0),
                ("s", "refund", 4, -3.0),
                ("t", "refund", 5, -2.0),
            ]
        ],
        schema=EVENT_SCHEMA,
    )
    # r takes all 6 of p2 and 4 of p1; of the 2 that are left s wants 3 and stays unmatched, t takes them
    found = match_refunds(events)
    assert found.select("refund_id", "purchase_id").rows() == [
        ("r", "p2"),
        ("r", "p1"),
        ("t", "p1"),
    ]
    assert found["refund_share"].to_list() == pytest.approx([0.6, 0.4, 1.0])


def test_refund_without_item_takes_back_lines_of_its_order_by_amount() -> None:
    names = ["event_id", "kind", "order_id", "item_id", "amount"]
    lines = [
        ("p", "purchase", "7", "A", 10.0),
        ("q", "purchase", "7", "B", 30.0),
        ("o", "purchase", "8", "A", 99.0),
    ]
    refunds = [("r", "refund", "7", None, -40.0), ("s", "refund", "9", None, -1.0)]
    events = pl.DataFrame([*lines, *refunds], schema=names, orient="row").with_columns(
        occurred_at=datetime(2024, 1, 1, tzinfo=UTC), quantity=1.0, customer_id=pl.lit("1")
    )
    found = match_refunds(events)
    assert sorted(found["purchase_id"]) == ["p", "q"] and set(found["refund_id"]) == {"r"}
    assert dict(found.select("purchase_id", "refund_share").iter_rows()) == pytest.approx(
        {"p": 0.25, "q": 0.75}
    )


def till(num_purchases: int, refunds: list[float]) -> pl.DataFrame:
    """One customer buys one piece a minute, all of one item; then come refunds of so many pieces, one a minute."""
    quantities = [1.0] * num_purchases + [-quantity for quantity in refunds]
    minutes = [
        datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=n) for n in range(len(quantities))
    ]
    kinds = ["purchase"] * num_purchases + ["refund"] * len(refunds)
    rows = {
        "event_id": [f"e{number}" for number in range(len(quantities))],
        "customer_id": ["walk-in"] * len(quantities),
        "item_id": ["A"] * len(quantities),
        "occurred_at": minutes,
        "kind": kinds,
        "quantity": quantities,
        "amount": [5.0 * quantity for quantity in quantities],
    }
    return pl.DataFrame(rows).select(
        pl.col(name).cast(dtype) if name in rows else pl.lit(None, dtype).alias(name)
        for name, dtype in EVENT_SCHEMA.items()
    )


def test_all_that_a_till_takes_back_is_matched_once_however_much_it_sold() -> None:
    number = 3 * MAX_LOOKED_AT
    found = match_refunds(till(number, [1.0] * number + [1.0]))
    assert found["purchase_id"].to_list() == [f"e{place}" for place in reversed(range(number))]
    assert found["refund_id"].n_unique() == number


def test_refund_is_shared_among_the_latest_lines_alone() -> None:
    found = match_refunds(till(2 * MAX_LOOKED_AT, [MAX_LOOKED_AT, MAX_LOOKED_AT + 1.0, 2.0]))
    taken = found.group_by("refund_id", maintain_order=True).len()
    refund, last = f"e{2 * MAX_LOOKED_AT}", f"e{2 * MAX_LOOKED_AT + 2}"
    assert taken.rows() == [(refund, MAX_LOOKED_AT), (last, 2)]


def test_returns_of_one_customer_cost_in_proportion_to_their_number() -> None:
    def looked_at(number: int) -> int:
        """Lines that are compared with refunds, most of which are of more than any line holds."""
        purchases = till(number, [2.0] * (number // 2))
        with pytest.MonkeyPatch.context() as patched:
            counted = Counter[str]()
            whole = refunds._share

            def counting(refund: refunds._Line, line: refunds._Line) -> float:
                counted["share"] += 1
                return whole(refund, line)

            patched.setattr(refunds, "_share", counting)
            match_refunds(purchases)
            return counted["share"]

    assert looked_at(4000) < 5 * looked_at(1000)
