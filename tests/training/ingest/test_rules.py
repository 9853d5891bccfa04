import math
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.events.schema import EVENT_SCHEMA
from training.ingest.quality.read_counts import ReadCounts
from training.ingest.quality.report import rows_dropped
from training.ingest.quality.shard_counts import ShardCounts
from training.ingest.refunds import MATCHES
from training.ingest.rules import (
    SPILL_SCHEMA,
    MissingRules,
    OutlierRules,
    checked_rows,
    event_rows,
    without_outliers,
)
from training.ingest.sources import Source
from training.ingest.tables.batches import ParsedRows
from training.ingest.tables.rows import ROW
from training.results.quality import Money

NOW = datetime(2024, 1, 1, tzinfo=UTC)
SOURCE = Source.model_validate(
    {"path": "lines.csv", "columns": {"customer_id": "c", "occurred_at": "t"}}
)


def batch(**columns: list[object]) -> ParsedRows:
    number = len(next(iter(columns.values())))
    given: dict[str, object] = {"customer_id": ["1"] * number, "occurred_at": [NOW] * number}
    given |= {"kind": ["purchase"] * number, **columns}
    types = {name: dtype for name, dtype in EVENT_SCHEMA.items() if name in given}
    rows = pl.DataFrame(given, schema_overrides=types).with_row_index(ROW, 1)
    return ParsedRows(Path("lines.csv"), rows, number, {}, {})


def test_rows_without_customer_or_time_are_left_out_and_counted() -> None:
    counts = ReadCounts()
    rows = checked_rows(
        batch(customer_id=[None, "1", "1"], occurred_at=[None, None, NOW]),
        SOURCE,
        MissingRules(),
        counts,
    )
    assert rows[ROW].to_list() == [3]
    assert rows_dropped(counts.account) == {"missing_customer_id": 1, "missing_occurred_at": 1}


@pytest.mark.parametrize(("rule", "amounts"), [("drop", [5.0, None]), ("zero", [5.0, 0.0, None])])
def test_missing_amount_matters_for_money_only(rule: str, amounts: list[float | None]) -> None:
    given = batch(amount=[5.0, None, None], kind=["purchase", "renewal", "view"])
    rows = checked_rows(given, SOURCE, MissingRules.model_validate({"amount": rule}), ReadCounts())
    assert rows["amount"].to_list() == amounts


def test_missing_amount_as_an_error_names_the_row() -> None:
    with pytest.raises(ValueError, match="lines.csv, row 2 after the header: amount is missing"):
        checked_rows(batch(amount=[5.0, None]), SOURCE, MissingRules(amount="error"), ReadCounts())


@pytest.mark.parametrize("kind", ["purchase", "renewal"])
def test_negative_purchase_is_refused_with_row_and_value(kind: str) -> None:
    with pytest.raises(ValueError, match=f"row 2 after the header: amount is -3.0 for a {kind}"):
        checked_rows(
            batch(amount=[5.0, -3.0], kind=[kind, kind]), SOURCE, MissingRules(), ReadCounts()
        )


@pytest.mark.parametrize(("kind", "shown"), [("buy", "'buy'"), (None, "None")])
def test_unknown_kind_is_refused_with_row_and_value(kind: str | None, shown: str) -> None:
    with pytest.raises(
        ValueError, match=f"row 2 after the header: kind is {shown}; kinds are purchase, refund"
    ):
        checked_rows(batch(kind=["view", kind]), SOURCE, MissingRules(), ReadCounts())


def test_refunds_are_negative_whatever_their_sign() -> None:
    amounts = checked_rows(
        batch(amount=[5.0, -3.0, 0.0], kind=["refund"] * 3), SOURCE, MissingRules(), ReadCounts()
    )["amount"].to_list()
    assert amounts == [-5.0, -3.0, 0.0]
    assert math.copysign(1, amounts[2]) == 1


def test_event_rows_have_the_whole_schema_and_positive_discounts_and_costs() -> None:
    rows = checked_rows(
        batch(discount=[-1.5], cost=[2.0], amount=[1.0]), SOURCE, MissingRules(), ReadCounts()
    )
    events = event_rows(rows, 3)
    assert events.schema == SPILL_SCHEMA
    assert events.select("discount", "cost", "item_id", "__source").row(0) == (1.5, 2.0, None, 3)


def test_outlier_fence_is_tukeys_on_log_amounts() -> None:
    counts = ReadCounts()
    amounts = np.exp(np.random.default_rng(1).normal(3, 1, 20_001))
    counts.add_amounts("lines.csv", batch(amount=amounts.tolist()).rows)
    low, high = np.quantile(np.log(amounts), [0.25, 0.75])
    assert counts.outlier_fence(3.0) == pytest.approx(
        math.exp(high + 3 * (high - low)), rel=0.15
    )  # bins of 1/100
    assert ReadCounts().outlier_fence(3.0) == math.inf


@pytest.mark.parametrize(
    ("action", "amounts", "dropped"),
    [
        (
            "flag",
            {"p": 5.0, "out": 100.0, "r": -80.0, "both": -25.0, "orphan": -70.0, "small": -5.0},
            {},
        ),
        # the fence is 50: of r's purchase half is left; of `both` 4/5 take back `out`, 1/5 `p`
        (
            "clip",
            {"p": 5.0, "out": 50.0, "r": -40.0, "both": -15.0, "orphan": -50.0, "small": -5.0},
            {},
        ),
        ("drop", {"p": 5.0, "both": -5.0, "small": -5.0}, {"outlier": 3}),
    ],
)
def test_outliers_and_what_takes_them_back_are_flagged_clipped_or_dropped(
    action: str, amounts: dict[str, float], dropped: dict[str, int]
) -> None:
    counts = ShardCounts()
    given = {"p": 5.0, "out": 100.0, "r": -80.0, "both": -25.0, "orphan": -70.0, "small": -5.0}
    kinds = ["purchase", "purchase", "refund", "refund", "refund", "refund"]
    events = batch(event_id=list(given), amount=list(given.values()), kind=kinds).rows
    matches = pl.DataFrame(
        [("r", "out", 1.0), ("both", "out", 0.8), ("both", "p", 0.2)], schema=MATCHES, orient="row"
    )
    kept = without_outliers(
        events, matches, 50.0, OutlierRules.model_validate({"action": action}), counts
    )
    assert dict(kept.select("event_id", "amount").iter_rows()) == pytest.approx(amounts)
    assert kept.columns == events.columns
    assert counts.num_outliers == 2
    assert counts.outlier_revenue == 100.0
    assert rows_dropped(counts.account) == dropped
    left_out = dict(given)
    for event_id, amount in kept.select("event_id", "amount").iter_rows():
        left_out[event_id] -= amount
    lost = {"purchase": left_out["p"] + left_out["out"]}
    lost["refund"] = sum(left_out.values()) - lost["purchase"]
    money = counts.account.dropped.get("outlier", Money())
    assert (money.purchases, money.refunds) == pytest.approx((lost["purchase"], lost["refund"]))


def test_source_without_amounts_keeps_interactions_unless_the_rule_says_otherwise() -> None:
    given = batch(kind=["purchase", "view"])
    assert "amount" not in checked_rows(given, SOURCE, MissingRules(), ReadCounts()).columns
    assert checked_rows(given, SOURCE, MissingRules(amount="zero"), ReadCounts())[
        "amount"
    ].to_list() == [0.0, None]
    with pytest.raises(ValueError, match="row 1 after the header: amount is missing"):
        checked_rows(given, SOURCE, MissingRules(amount="error"), ReadCounts())


def test_zeros_that_stand_for_missing_amounts_are_counted() -> None:
    counts = ReadCounts()
    given = batch(amount=[5.0, None, None], kind=["purchase", "refund", "view"])
    checked_rows(given, SOURCE, MissingRules(amount="zero"), counts)
    assert counts.num_amounts_as_zero == 1


def test_what_floats_leave_of_a_free_line_is_nothing() -> None:
    of_millions = 12 * 699_165.58 - 8_389_986.96
    assert -1e-6 < of_millions < -1e-9
    given = batch(amount=[3 * 0.15 - 0.45, of_millions, 1e-8])
    rows = checked_rows(given, SOURCE, MissingRules(), ReadCounts())
    assert rows["amount"].to_list() == [0.0, 0.0, 1e-8]


def test_purchase_of_negative_quantity_is_refused() -> None:
    given = batch(amount=[100.0, 100.0], quantity=[1.0, -1.0])
    with pytest.raises(ValueError, match="row 2.*: quantity is -1.0 for a purchase of 100.0"):
        checked_rows(given, SOURCE, MissingRules(), ReadCounts())


@pytest.mark.parametrize("days", [0.0, -30.0, 0.5, 40_000.0])
def test_plan_that_covers_no_days_is_an_error_that_names_its_row(days: float) -> None:
    given = batch(amount=[5.0, 5.0], plan_days=[30.0, days])
    with pytest.raises(
        ValueError, match=rf"lines.csv, row 2 .*: plan_days is {days}; .* 1 to 36525 days"
    ):
        checked_rows(given, SOURCE, MissingRules(), ReadCounts())


def test_plan_days_may_be_unknown() -> None:
    given = batch(amount=[5.0, 5.0], plan_days=[30.0, None])
    rows = event_rows(checked_rows(given, SOURCE, MissingRules(), ReadCounts()), 0)
    assert rows["plan_days"].to_list() == [30.0, None]
