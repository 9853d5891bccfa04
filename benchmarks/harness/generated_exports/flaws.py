"""Exports that no reader can take rightly, by what `docs/data.md` says is an error."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile

from benchmarks.harness.generated_exports.rows import KEPT, Row, Rows

Tree = dict[str, object]  # of a source in the recipe


@dataclass(frozen=True)
class Flaw:
    """What is wrong with an export, and what the message must say (a pattern) that refuses it."""

    what: str
    message: str

    def is_told(self, message: str) -> bool:
        """Whether a refusal is for this flaw."""
        return re.search(self.message, message) is not None


CONTRADICTION = Flaw(
    "rows differ under one event_id", "contradict each other|is given to events of two customers"
)
TWO_DIGITS = re.compile(r"^\d+,\d\d$")


def _unknown_column(draw: random.Random, tree: Tree, rows: Rows) -> Flaw | None:
    columns = tree["columns"]
    assert isinstance(columns, dict)
    tree["columns"] = columns | {"item_id": "no such column"}
    return Flaw("the recipe names a column that is not there", "unknown column 'no such column'")


def _unknown_kind(draw: random.Random, tree: Tree, rows: Rows) -> Flaw | None:
    columns = tree["columns"]
    assert isinstance(columns, dict)
    if "kind" in columns:
        return None
    tree["kind"] = {"sql": "'sale'"}
    return Flaw("no event is a sale", "kind is 'sale'")


def _negative_purchases(draw: random.Random, tree: Tree, rows: Rows) -> Flaw | None:
    columns = tree["columns"]
    assert isinstance(columns, dict)
    refunds = [row for row in rows.all() if row.fate == KEPT and row.event.kind == "refund"]
    are_negative = any((row.event.quantity or 0) < 0 for row in refunds)
    if not are_negative or "kind" in columns:
        return None
    tree["kind"] = "purchase"
    return Flaw(
        "some purchases are negative",
        "for a purchase, which needs 0 or more|quantity is -.* for a purchase",
    )


def _date_format(draw: random.Random, tree: Tree, rows: Rows) -> Flaw | None:
    if tree["format"] == "parquet" or tree.get("date_format") in ("epoch_s", "epoch_ms"):
        return None
    tree["date_format"] = "%H:%M o'clock of %d/%m/%Y"
    return Flaw("dates are written in another way", "occurred_at is .* does not match date_format")


def _more_cells(draw: random.Random, tree: Tree, rows: Rows) -> Flaw | None:
    file = _plain_csv(tree)
    if file is None:
        return None
    line_end = file.read_bytes()[-1:] == b"\n"
    delimiter = str(tree.get("delimiter", ","))
    cells = ["x"] * (len(rows.all()[0].cells) + 1)
    with file.open("a", newline="") as handle:
        handle.write(("" if line_end else "\n") + delimiter.join(cells) + "\n")
    return Flaw("a row has more cells than the header", "fields where the first line has")


def _open_quote(draw: random.Random, tree: Tree, rows: Rows) -> Flaw | None:
    file = _plain_csv(tree)
    quote = str(tree.get("quote", '"'))
    if file is None or quote == "none" or quote in file.read_text():
        return None
    lines = file.read_bytes().split(b"\n")
    lines[-2] = quote.encode() + lines[-2]
    file.write_bytes(b"\n".join(lines))
    return Flaw("a quote is opened and not closed", "a quote is opened and not closed")


def _same_file_twice(draw: random.Random, tree: Tree, rows: Rows) -> Flaw | None:
    path = Path(str(tree["path"]))
    if not path.is_file() or len(rows.all()) < 2 or "duplicates" in tree:
        return None
    copyfile(path, path.with_name(f"part-999{''.join(path.suffixes)}"))
    tree["path"] = str(path.with_name("part-*"))
    return Flaw("two files hold the same rows", "byte for byte|in earlier files, too")


def _cut_off(draw: random.Random, tree: Tree, rows: Rows) -> Flaw | None:
    path = Path(str(tree["path"]))
    if not path.is_file() or path.suffix not in (".gz", ".bz2", ".zst", ".parquet"):
        return None
    path.write_bytes(path.read_bytes()[:-20])
    return Flaw(
        "a compressed file is cut off",
        "cannot be decompressed|is not a Parquet file, or is cut off",
    )


def _unknown_cards(draw: random.Random, tree: Tree, rows: Rows) -> Flaw | None:
    lookup = tree.get("lookup")
    if not isinstance(lookup, dict):
        return None
    path = Path(str(lookup["path"]))
    first, *others = path.read_text().splitlines()
    path.write_text("\n".join([first, *(f"0{line}" for line in others)]))
    return Flaw("the lookup has other cards", "are found there, less than min_matched_share")


def _decimal(draw: random.Random, tree: Tree, rows: Rows) -> Flaw | None:
    """Where a column of money has a comma and two digits behind it in a row that is kept."""
    if tree.get("decimal") != ",":
        return None
    kept = [row for row in rows.all() if row.fate == KEPT]
    written = f"{_amount_of(kept):.2f}".replace(".", ",")
    has_amount = any(written in row.cells and TWO_DIGITS.match(written) for row in kept)
    columns = tree["columns"]
    assert isinstance(columns, dict)
    if not has_amount or not isinstance(columns["amount"], str):
        return None
    del tree["decimal"]
    return Flaw("the recipe lacks decimal: ','", r"not a number \(decimal: '\.'\)")


def _amount_of(rows: list[Row]) -> float:
    return float(next((abs(row.event.amount) for row in rows if row.event.amount), 0))


def _unmapped_currency(draw: random.Random, tree: Tree, rows: Rows) -> Flaw | None:
    columns = tree["columns"]
    assert isinstance(columns, dict)
    sold = [row.event for row in rows.all() if row.fate == KEPT and row.event.amount]
    is_named = not str(columns.get("currency", "column_")).startswith("column_")
    if len({event.currency for event in sold}) < 2 or not is_named:
        return None
    del columns["currency"]
    return Flaw(
        "money of several currencies in a column that the recipe does not map",
        "money of several currencies|says [A-Z]{3}; the recipe says",
    )


def _plain_csv(tree: Tree) -> Path | None:
    """The only file of a source, where it is CSV in UTF-8."""
    path = Path(str(tree["path"]))
    is_plain = tree["format"] == "csv" and "encoding" not in tree and path.is_file()
    return path if is_plain and path.suffix not in (".gz", ".bz2", ".zst") else None


FLAWS: tuple[Callable[[random.Random, Tree, Rows], Flaw | None], ...] = (
    _unknown_column,
    _unknown_kind,
    _negative_purchases,
    _date_format,
    _more_cells,
    _open_quote,
    _same_file_twice,
    _cut_off,
    _unknown_cards,
    _decimal,
    _unmapped_currency,
)


def spoiled(draw: random.Random, tree: Tree, rows: Rows) -> Flaw | None:
    """Make an export wrong in a way that fits it; None where nothing fitted."""
    return draw.choice(FLAWS)(draw, tree, rows)
