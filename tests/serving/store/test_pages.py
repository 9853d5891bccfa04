"""Pages of customers: each customer once, in the order of value, whatever is asked for."""

from pathlib import Path

import polars as pl
import pytest

from lifecycle.state.files import CUSTOMERS_FILE
from serving.store.pages import COLUMNS, CustomerPages, Place

CLV = [5.0, 30.0, 20.0, 20.0, 20.0, -1.0]
SEGMENTS = ["low", "top", "high", "high", "middle", "low"]


@pytest.fixture
def pages(tmp_path: Path) -> CustomerPages:
    others = dict.fromkeys(COLUMNS, 0.0) | {
        "customer_id": list("abcdef"),
        "clv": CLV,
        "segment": SEGMENTS,
        "stage": ["loyalty", "loyalty", "lapsed", "loyalty", "loyalty", "lapsed"],
    }
    pl.DataFrame(others).write_parquet(tmp_path / CUSTOMERS_FILE)
    return CustomerPages(tmp_path)


def walked(pages: CustomerPages, limit: int, **asked: object) -> str:
    """The ids of all pages, end to end."""
    asked = {"segment": None, "stage": None, "min_clv": None} | asked
    found = ""
    after = None
    while (page := pages.page(**asked, after=after, limit=limit)).height:  # type: ignore[arg-type]
        found += "".join(page["customer_id"])
        last = page.row(-1, named=True)
        after = Place(last["clv"], last["customer_id"])
    return found


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pages_hold_each_customer_once_the_most_valuable_first(
    pages: CustomerPages, limit: int
) -> None:
    assert walked(pages, limit) == "bcdeaf"
    assert walked(pages, limit, segment="high") == "cd"
    assert walked(pages, limit, stage="loyalty", min_clv=20.0) == "bde"
    assert walked(pages, limit, min_clv=31.0) == ""
