import base64
import math
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import polars as pl
import pytest

from lifecycle.events.schema import EVENT_SCHEMA
from training.ingest.quality.orders.days import order_days
from training.ingest.quality.read_counts import ReadCounts
from training.ingest.quality.report import quality_report
from training.ingest.quality.shard_counts import Finished, ShardCounts
from training.report.quality import write_quality_html
from training.results.quality import Money, QualityReport, Refunds

ITEMS = pl.DataFrame({"item_id": ["A", "B"], "title": ["lamp", None]})
VOID = ("meta", "img")


def events(*rows: tuple[str, int, str, str | None, float | None]) -> pl.DataFrame:
    """Rows are (customer, day of January 2024, kind, order, amount)."""
    names = ("customer_id", "occurred_at", "kind", "order_id", "amount")
    records = [
        dict(zip(names, (customer, datetime(2024, 1, day, tzinfo=UTC), *rest), strict=True))
        for customer, day, *rest in rows
    ]
    return pl.DataFrame(records, schema=EVENT_SCHEMA)


SHARDS = (
    events(
        ("1", 1, "purchase", "a", 2.0),
        ("1", 1, "purchase", "a", 3.0),
        ("1", 9, "purchase", "b", 4.0),
    ),
    events(
        ("2", 3, "renewal", None, 1.0),
        ("2", 3, "refund", None, -1.0),
        ("3", 31, "view", None, None),
    ),
)


LACKING = events(("", 1, "purchase", None, 7.0))
POSTAGE = events(("1", 1, "purchase", "a", 3.5), ("9", 1, "purchase", "z", None))


def report_of(*shards: pl.DataFrame) -> QualityReport:
    read = ReadCounts()
    read.add_read("lines.csv", pl.concat([*shards, LACKING]), {"filter:postage": POSTAGE})
    read.leave_out("missing_customer_id", LACKING)
    together = ShardCounts()
    for shard in shards:
        counts = ShardCounts()
        num_refunds = int((shard["kind"] == "refund").sum())
        counts.set_events(shard, order_days(shard), num_refunds)
        together.add(counts)
    return quality_report(read, Finished(together, math.inf), "EUR", ITEMS)


def test_report_counts_customers_orders_days_and_refunds_over_shards() -> None:
    report = report_of(*SHARDS)
    assert (report.num_events, report.num_customers, report.num_items) == (6, 3, 2)
    assert report.first_event_at == "2024-01-01T00:00:00+00:00"
    assert report.last_event_at == "2024-01-31T00:00:00+00:00"
    assert report.days == 31
    assert report.customers_by_orders == {
        "0": 1,
        "1": 1,
        "2": 1,
        "3-5": 0,
        "6-10": 0,
        "11-20": 0,
        "21+": 0,
    }
    assert report.refunds == Refunds(total=1, matched=1)
    assert report.revenue_by_month == {"2024-01": 10.0}
    assert report.lines_by_month == {"2024-01": 4}
    assert report.events_by_kind == {"purchase": 3, "renewal": 1, "refund": 1, "view": 1}
    assert report.items_without_title == 1


def test_rows_read_are_kept_or_left_out_for_a_reason() -> None:
    report = report_of(*SHARDS)
    assert report.rows_dropped == {"filter:postage": 2, "missing_customer_id": 1}
    assert report.rows_kept == 6
    assert report.num_rows_read == 6 + 2 + 1
    account = report.account
    assert account.read == Money(rows=9, purchases=20.5, refunds=-1.0, without_amount=2)
    assert account.kept == Money(rows=6, purchases=10.0, refunds=-1.0, without_amount=1)
    assert account.dropped == {
        "filter:postage": Money(rows=2, purchases=3.5, without_amount=1),
        "missing_customer_id": Money(rows=1, purchases=7.0),
    }


def test_verdicts_say_which_rule_decided() -> None:
    models = report_of(*SHARDS).models
    assert models["persistence"].supported
    assert not models["bgnbd_gg"].supported
    wanted = "needs 50 customers, and 1% of all, with purchases on 2 days: 1 of 3; and 60 days of data: 31"
    assert models["bgnbd_gg"].reason == wanted
    assert not models["service_cost"].supported


def test_nothing_left_is_an_error() -> None:
    with pytest.raises(
        ValueError, match="no usable event is left: {'filter:postage': 2, 'missing_customer_id': 1}"
    ):
        report_of(EVENT_SCHEMA.to_frame())


class Tags(HTMLParser):
    """Fails where a tag is closed that is not open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_page_is_well_formed_escapes_data_and_its_plots_are_drawings(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    report = report_of(*SHARDS)
    report = report.model_copy(update={"rows_read": {"<script>alert(1)</script>.csv": 9}})
    write_quality_html(tmp_path / "quality.html", report)
    page = (tmp_path / "quality.html").read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert "<script" not in page
    assert "http" not in page.replace("data:image/svg+xml", "")
    drawings = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', page)
    assert len(drawings) == 2
    for drawing in drawings:
        assert (
            ElementTree.fromstring(base64.b64decode(drawing)).tag
            == "{http://www.w3.org/2000/svg}svg"
        )
    assert "categorical" not in caplog.text
