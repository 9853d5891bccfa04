"""quality.html: what there is comes first, every table is labelled, what was not found is one sentence."""

import json
from pathlib import Path

import pytest

from tests.builders import TinyShop
from tests.training.report.test_arena import read
from training.report.quality import write_quality_html
from training.results.quality import HeavyCustomer, QualityReport


@pytest.fixture
def report(tiny_shop: TinyShop) -> QualityReport:
    return QualityReport.model_validate(json.loads((tiny_shop.data / "quality.json").read_text()))


def test_tables_are_labelled_and_none_is_empty(report: QualityReport, tmp_path: Path) -> None:
    write_quality_html(tmp_path / "quality.html", report)
    page = read(tmp_path / "quality.html")
    assert len(page.tables) > 5
    for table in page.tables:
        assert table.caption and table.num_rows > 0, table
    assert page.headings[:4] == [
        "What there is",
        "What came in",
        "Look at this first",
        "Revenue by month, season and trend",
    ]


def test_what_was_not_found_is_named_and_what_was_found_has_a_table(
    report: QualityReport, tmp_path: Path
) -> None:
    heading = "Customers with a share of orders that no person has"
    nobody = heading[0].lower() + heading[1:]
    write_quality_html(tmp_path / "without.html", report)
    page = read(tmp_path / "without.html")
    assert nobody in page.text and heading not in page.headings
    till = HeavyCustomer(
        customer_id="till", orders=9, lines=9, revenue=1.0, days=1, most_orders_a_day=9
    )
    changed = report.model_copy(update={"heavy_customers": (till,)})
    write_quality_html(tmp_path / "with.html", changed)
    page = read(tmp_path / "with.html")
    assert nobody not in page.text and heading in page.headings


def test_partial_months_are_told_and_years_lie_over_each_other(
    report: QualityReport, tmp_path: Path
) -> None:
    months = [f"{year}-{month:02d}" for year in (2022, 2023) for month in range(1, 13)]
    revenue = {month: 100.0 if month < "2023" else 120.0 for month in months} | {"2024-01": 3.0}
    changed = report.model_copy(
        update={
            "revenue_by_month": revenue,
            "first_event_at": "2022-01-01T00:00:00+00:00",
            "last_event_at": "2024-01-02T10:00:00+00:00",
        }
    )
    write_quality_html(tmp_path / "quality.html", changed)
    page = read(tmp_path / "quality.html")
    assert "The last 12 months brought 20 % more than a year before." in page.text
    assert "a part of 2024-01 (until 2024-01-02)" in page.text
    assert any("2022, 2023 and 2024 over each other" in plot for plot in page.plots)
