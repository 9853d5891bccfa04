"""What became of payments for plans that were due, counted by hand."""

from pathlib import Path

import polars as pl

from tests.builders import CUTOFF, make_events
from training.evaluate.customers.standing import count_payments

MONTH = {"kind": "renewal", "amount": 9.0, "plan_days": 30.0}


def counts(tmp_path: Path, *rows: dict[str, object]) -> list[tuple[int, int, int, int, int]]:
    shard = tmp_path / "shard.parquet"
    make_events(list(rows)).sort("customer_id", "occurred_at").write_parquet(shard)
    found = count_payments(pl.scan_parquet(shard), CUTOFF)
    return found.sort("plan_class", "number").rows()


def payment(day: float, customer: str = "a", **columns: object) -> dict[str, object]:
    return MONTH | {"day": day, "customer_id": customer} | columns


def told(day: float, kind: str) -> dict[str, object]:
    return {"day": day, "kind": kind, "amount": None}


def test_payment_counts_once_its_grace_is_over(tmp_path: Path) -> None:
    """Three days of grace: the first is renewed in time, the second late by four days, the third not yet decided."""
    rows = [payment(-90), payment(-57), payment(-23)]
    assert counts(tmp_path, *rows) == [(0, 1, 1, 1, 0), (0, 2, 1, 0, 0)]
    assert counts(tmp_path, payment(-33)) == [], "may still come"
    assert counts(tmp_path, payment(-33.1)) == [(0, 1, 1, 0, 0)]


def test_cancellation_announces_and_only_what_is_not_renewed(tmp_path: Path) -> None:
    left = [payment(-80), told(-70, "cancellation")]
    assert counts(tmp_path, *left) == [(0, 1, 1, 0, 1)]
    assert counts(tmp_path, *left, payment(-50)) == [(0, 1, 1, 1, 0), (0, 2, 1, 0, 0)]
    late = [payment(-80), told(-40, "cancellation")]
    assert counts(tmp_path, *late) == [(0, 1, 1, 0, 0)], "had gone by then"


def test_pause_on_the_way_is_no_leaving(tmp_path: Path) -> None:
    assert counts(tmp_path, payment(-80), told(-70, "pause")) == []
    assert counts(tmp_path, payment(-80), told(-40, "pause")) == [(0, 1, 1, 0, 0)]


def test_customers_and_lengths_are_counted_together_and_apart(tmp_path: Path) -> None:
    year = {"plan_days": 365.0}
    rows = [
        payment(-80),
        payment(-50, plan_days=31.0),
        payment(-80, "b"),
        payment(-800, "c", **year),
        payment(-430, "c", **year),
        {"day": -300, "amount": 5.0},
    ]
    expected = [(0, 1, 2, 1, 0), (0, 2, 1, 0, 0), (4, 1, 1, 1, 0), (4, 2, 1, 0, 0)]
    assert counts(tmp_path, *rows) == expected


def test_nothing_after_the_instant_is_known(tmp_path: Path) -> None:
    known = [payment(-34), payment(-33.5, "b")]
    ahead = [payment(0), payment(1, "b"), told(2, "cancellation"), told(0, "pause")]
    assert counts(tmp_path, *known, *ahead) == counts(tmp_path, *known)
    assert counts(tmp_path) == []
