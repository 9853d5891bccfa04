"""report.html and quality.html in Chromium: nothing is cut off at 1,200 pixels, nothing runs out of a phone."""

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tests.builders import TinyShop
from tests.integration.pages.browser import measured
from training.report.arena import write_report
from training.report.page import Section, Table, write_page
from training.report.quality import write_quality_html
from training.results.arena import Results
from training.results.quality import HeavyCustomer, QualityReport, SourceCustomers

pytestmark = [pytest.mark.integration, pytest.mark.thorough]

MILLION = 1e6
LONG = "package:a_shop_with_a_long_name/exports/of/all/years/transactions-2019-2024.parquet"


@pytest.fixture(scope="module")
def report(tiny_artifact: Path, tiny_shop: TinyShop) -> Callable[[Path, float], Path]:
    """Writes report.html of the tiny shop, whose money is worth `unit` times less."""
    content = json.loads((tiny_artifact.parent / "metrics.json").read_text())
    predictions = pl.read_parquet(tiny_artifact.parent / "predictions.parquet")
    test = pl.read_parquet(tiny_shop.examples / "test.parquet")
    amounts = [name for name in predictions.columns if name not in ("customer_id", "model")]

    def write(path: Path, unit: float) -> Path:
        metrics = Results.model_validate(in_unit(content, unit) | {"currency": "USD"})
        shown = predictions.with_columns(pl.col(amounts) * unit)
        write_report(path, metrics, shown, test)
        return path

    return write


AMOUNTS = {"mae", "rmse", "clv", "spend", "at_risk", "predicted", "actual", "revenue", "refunds"}
AMOUNTS |= {"discounting", "mae_average_rate", "profit"}


def in_unit(content: object, unit: float, is_money: bool = False) -> object:
    """The same metrics with all amounts of money times `unit`."""
    if isinstance(content, dict):
        return {
            name: in_unit(value, unit, is_money=name in AMOUNTS) for name, value in content.items()
        }
    if isinstance(content, list):
        return [in_unit(value, unit, is_money=is_money) for value in content]
    return content * unit if is_money and isinstance(content, float) else content


@pytest.mark.parametrize("unit", [1.0, MILLION])
def test_no_column_of_the_report_is_cut_off_and_no_legend_lies_over_bars(
    report: Callable[[Path, float], Path], tmp_path: Path, unit: float
) -> None:
    page = report(tmp_path / "report.html", unit)
    found = measured(page, 1200, tmp_path)
    assert found.tables > 15 and found.cut == [] and found.content <= found.width
    legends = [drawing for drawing in found.images if drawing.legends]
    assert any(drawing.bars > 5 for drawing in legends)
    assert not [drawing.what for drawing in found.images if drawing.hit]


def test_report_fits_a_phone_but_for_wide_tables_and_plots_that_scroll(
    report: Callable[[Path, float], Path], tmp_path: Path
) -> None:
    found = measured(report(tmp_path / "report.html", 1.0), 400, tmp_path)
    assert found.content <= found.width < 400
    assert all(told.startswith("div") for told in found.cut), found.cut


@pytest.mark.parametrize("width", [1200, 400])
def test_quality_fits_whatever_was_found(tiny_shop: TinyShop, tmp_path: Path, width: int) -> None:
    content = json.loads((tiny_shop.data / "quality.json").read_text())
    till = HeavyCustomer(
        customer_id="CUSTOMER-WITHOUT-A-CARD-0001",
        orders=1_234_567,
        lines=12_345_678,
        revenue=1.5e9,
        days=1000,
        most_orders_a_day=1234,
    )
    found = QualityReport.model_validate(content).model_copy(
        update={
            "rows_read": {LONG: 12_345_678},
            "heavy_customers": (till,),
            "customers_of_sources": {LONG: SourceCustomers(customers=123_456, buyers=12_345)},
            "files_not_read": (LONG,),
        }
    )
    write_quality_html(tmp_path / "quality.html", found)
    seen = measured(tmp_path / "quality.html", width, tmp_path)
    assert seen.content <= seen.width
    if width == 1200:
        assert seen.cut == []


def test_what_is_cut_off_is_seen(tmp_path: Path) -> None:
    header = [f"a column with a name {number}" for number in range(30)]
    table = Table("wide", header, [[1_000_000_000] * 30])
    write_page(tmp_path / "wide.html", "wide", [Section("wide", [table])])
    assert measured(tmp_path / "wide.html", 1200, tmp_path).cut != []
