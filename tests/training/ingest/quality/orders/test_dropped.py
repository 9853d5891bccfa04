from pathlib import Path

import polars as pl
import pytest

from tests.training.ingest.recipes import recipe, run
from training.ingest.quality.orders import dropped
from training.ingest.quality.orders.dropped import DroppedOrders, num_kept_in_part

# As shops' platforms export orders: customer, time and status stand on the first line of an order alone.
EXPORT = """Name,Email,Created,Status,Item,Price
#1,a@x.org,2024-01-01,paid,cup,5
#1,a@x.org,2024-01-01,,plate,6
#2,b@x.org,2024-01-02,paid,cup,5
#3,b@x.org,2024-01-03,void,cup,5
#3,b@x.org,2024-01-03,,plate,6
#4,c@x.org,2024-01-04,paid,cup,5
#4,,,,plate,6
"""
COLUMNS = {
    "customer_id": "Email",
    "occurred_at": "Created",
    "order_id": "Name",
    "item_id": "Item",
    "amount": "Price",
}


def test_orders_that_lost_lines_while_others_stay_are_counted_and_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "x.csv").write_text(EXPORT)
    paid = {"not_paid": {"sql": "Status = 'paid'"}}
    source = {"path": str(tmp_path / "x.csv"), "columns": COLUMNS, "filter": paid}
    _, report = run(recipe(tmp_path / "data", source))
    assert report["orders_half_dropped"] == {"filter:not_paid": 2}
    assert "2 orders lost lines to filter:not_paid, but keep others" in caplog.text
    assert report["account"]["dropped"]["filter:not_paid"]["purchases"] == 23.0
    all_rows = {"path": str(tmp_path / "x.csv"), "columns": COLUMNS}
    _, report = run(recipe(tmp_path / "all", all_rows))
    assert report["orders_half_dropped"] == {"missing_customer_id": 1}


def test_many_parts_are_merged_without_losing_an_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dropped, "MAX_PARTS", 3)
    orders = DroppedOrders()
    for number in range(20):
        orders.add("lost", pl.DataFrame({"order_id": [f"#{number}", f"#{number + 1}", None]}))
    assert sum(len(parts) for parts in orders.parts.values()) <= 4
    kept = pl.Series([f"#{number}" for number in range(15, 40)] * 2)
    assert num_kept_in_part(orders.found(), kept) == {"lost": 6}
    orders.add("other", pl.DataFrame({"order_id": [None]}, schema={"order_id": pl.String()}))
    assert list(orders.parts) == ["lost"]
