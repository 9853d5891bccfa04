"""The item catalogue, from an item table or derived from the lines, and the table of customer attributes."""

import logging
from collections import Counter
from dataclasses import replace

import polars as pl

from lifecycle.erasure.tombstones import NOBODY, ErasedIds
from lifecycle.events.schema import MAX_RATE, MIN_RATE, OWN_RATE, is_purchase
from training.ingest.currencies import Exchange
from training.ingest.dates import Span
from training.ingest.quality.read_counts import ReadCounts
from training.ingest.rules import ERASED
from training.ingest.sources import Table
from training.ingest.tables.number_marks import ambiguous_mark
from training.ingest.tables.parsing import RawColumn, parse_numbers
from training.ingest.tables.rows import ROW, numbers_of
from training.ingest.tables.whole import WholeTable, read_whole

logger = logging.getLogger(__name__)
MAX_ODD = 0.1  # of an attribute's values, which are no numbers while all others are
WEIGHT = "__weight"  # a column of no shop
PRICE_DIGITS = 9  # .1 + .2 and .3 are one price; .003 and .004 are two
COLUMNS = {
    "title": pl.String(),
    "category": pl.String(),
    "price": pl.Float64(),
    "description": pl.String(),
}

SEEN = pl.Schema(
    {
        "item_id": pl.String(),
        **COLUMNS,
        "month": pl.Datetime("us", "UTC"),
        "occurred_at": pl.Datetime("us", "UTC"),
        "lines": pl.UInt64(),
    }
)
MIN_WAITING = 100_000  # rows


class LineCatalogue:
    """Collects what the event lines say of their items, while they stream by."""

    def __init__(self) -> None:
        self.seen = pl.DataFrame(schema=SEEN)
        self.waiting: list[pl.DataFrame] = []  # until they are as many rows as `seen`

    def add(self, rows: pl.DataFrame) -> None:
        """Count each way that these lines describe an item; a purchase's `text` serves where there is no `title`."""
        if "item_id" not in rows.columns:
            return
        rows = rows.filter(pl.col("item_id").is_not_null() & (pl.col("kind") != "support"))
        no_text = pl.lit(None, dtype=pl.String)
        told = {
            "title": _purchase_text(rows),
            "category": no_text,
            "price": _unit_price(rows),
            "description": no_text,
        }
        columns = []
        for name, instead in told.items():
            column = pl.col(name) if name in rows.columns else instead
            columns.append(column.alias(name))
        described = rows.select("item_id", *columns, "occurred_at")
        month = pl.col("occurred_at").dt.truncate("1mo").alias("month")
        counted = described.with_columns(month, pl.lit(1, dtype=pl.UInt64).alias("lines"))
        self.waiting.append(
            counted.select(pl.col(name).cast(dtype) for name, dtype in SEEN.items())
        )
        if sum(part.height for part in self.waiting) > max(MIN_WAITING, self.seen.height):
            self._merge()

    def _merge(self) -> None:
        together = pl.concat([self.seen, *self.waiting]).group_by("item_id", *COLUMNS, "month")
        merged = together.agg(pl.col("occurred_at").min(), pl.col("lines").sum())
        self.seen = merged.select(list(SEEN))
        self.waiting = []

    def items(self, span: Span) -> pl.DataFrame:
        """One row per item of these days: its first title, category and description, and its median price.

        The first ones, since prompts show them: what a line says later must not reach an earlier
        cutoff.
        """
        self._merge()
        day = pl.col("occurred_at").dt.date()
        ends_before = pl.col("month").dt.month_end().dt.date() < span.first
        seen = self.seen.filter(~ends_before & (day <= span.last))
        result = seen.select("item_id").unique().sort("item_id")
        for name in ("title", "category", "description"):
            given = seen.drop_nulls(name).sort(
                "occurred_at", "lines", name, descending=[False, True, False]
            )
            first = given.unique("item_id", keep="first", maintain_order=True)
            result = result.join(first.select("item_id", name), on="item_id", how="left")
        prices = _weighted_median(seen.drop_nulls("price"), "price", "lines")
        return result.join(prices, on="item_id", how="left").select("item_id", *COLUMNS)


def _purchase_text(rows: pl.DataFrame) -> pl.Expr:
    if "text" not in rows.columns:
        return pl.lit(None, dtype=pl.String)
    return pl.when(is_purchase() | (pl.col("kind") == "refund")).then("text")


def _unit_price(rows: pl.DataFrame) -> pl.Expr:
    if not {"quantity", "amount"} <= set(rows.columns):
        return pl.lit(None, dtype=pl.Float64)
    is_sale = is_purchase() & (pl.col("quantity") > 0)
    return pl.when(is_sale).then(pl.col("amount") / pl.col("quantity")).round_sig_figs(PRICE_DIGITS)


def _most_frequent(rows: pl.DataFrame, weight: str) -> pl.DataFrame:
    """One row per item_id: of every text column the value of most weight (ties: the first in order), median numbers."""
    result = rows.select("item_id").unique().sort("item_id")
    for name in rows.columns:
        if name in ("item_id", weight):
            continue
        given = rows.drop_nulls(name)
        if rows.schema[name].is_numeric():
            best = _weighted_median(given, name, weight)
        else:
            counts = given.group_by("item_id", name).agg(pl.col(weight).sum())
            ordered = counts.sort(weight, name, descending=[True, False])
            best = ordered.unique("item_id", keep="first").drop(weight)
        result = result.join(best, on="item_id", how="left")
    return result


def _weighted_median(rows: pl.DataFrame, name: str, weight: str) -> pl.DataFrame:
    """Per item_id the smallest value that reaches half of the weight."""
    counts = rows.group_by("item_id", name).agg(pl.col(weight).sum()).sort("item_id", name)
    reached = pl.col(weight).cum_sum().over("item_id") * 2 >= pl.col(weight).sum().over("item_id")
    return counts.filter(reached).unique("item_id", keep="first", maintain_order=True).drop(weight)


def read_item_table(table: Table, counts: ReadCounts, exchange: Exchange) -> pl.DataFrame:
    """The catalogue of an item table, with prices in the shop's currency.

    Raises ValueError where no column is mapped to item_id, or a price cannot be converted.

    Items that are described in more than one way keep their most frequent description, and are
    counted.
    """
    whole = _read_table(table, "item_id", "items")
    rows = exchange.converted_prices(whole)
    for name, dtype in COLUMNS.items():
        if name not in rows.columns:
            rows = rows.with_columns(pl.lit(None, dtype=dtype).alias(name))
    is_repeated = pl.col("item_id").is_duplicated()
    repeated = rows.filter(is_repeated)
    counts.num_conflicting_items = repeated.unique().filter(is_repeated)["item_id"].n_unique()
    counted = repeated.with_columns(pl.lit(1, dtype=pl.UInt64).alias(WEIGHT))
    merged = _most_frequent(counted, weight=WEIGHT)
    items = pl.concat([rows.filter(~is_repeated), merged.select(rows.columns)]).sort("item_id")
    left_out = whole.left_out + Counter(repeated=repeated.height - merged.height)
    counts.set_table("items", whole.num_read, items.height, left_out)
    others = [name for name in rows.columns if name not in ("item_id", *COLUMNS)]
    return items.select("item_id", *COLUMNS, *others)


def read_customer_table(
    table: Table, counts: ReadCounts, erased: ErasedIds = NOBODY
) -> pl.DataFrame:
    """One row per customer who is not erased; attributes that are numbers throughout are written as such.

    Raises ValueError where two rows of one customer contradict each other, or for a discount rate
    out of range.
    """
    whole = _read_table(table, "customer_id", "customers")
    rows = whole.rows.unique(maintain_order=True)
    left_out = whole.left_out + Counter(repeated=whole.rows.height - rows.height)
    gone = erased.among(rows["customer_id"])
    is_erased = pl.col("customer_id").is_in(list(gone))
    left_out[ERASED] = rows.filter(is_erased).height
    rows = rows.filter(~is_erased)
    counts.set_table("customers", whole.num_read, rows.height, left_out)
    _check_customers(rows)
    numbers = []
    for name in rows.columns:
        if name != "customer_id" and rows.schema[name] == pl.String:
            values = numbers_of(rows[name], table.decimal)
            if values is not None and values.count():
                numbers.append(values)
            _warn_of_attribute(rows[name], table, are_numbers=values is not None)
    return rows.with_columns(numbers).sort("customer_id")


def _warn_of_attribute(values: pl.Series, table: Table, *, are_numbers: bool) -> None:
    """Say where an attribute can be read two ways: by its decimal sign, or as text for a few that are no numbers."""
    mark = ambiguous_mark(values, table.decimal) if are_numbers else None
    if mark is not None:
        example = values.filter(values.str.contains(mark, literal=True))[0]
        logger.warning(
            "customers: all numbers of column %r with %r have three digits behind it, such as %r; %s",
            values.name,
            mark,
            example,
            f"it is read as the decimal sign of decimal: {table.decimal!r}"
            if mark == table.decimal
            else f"it groups thousands, by decimal: {table.decimal!r}",
        )
    given = values.drop_nulls()
    odd = given.filter(parse_numbers(RawColumn(given, given, given.name), table.decimal).is_null())
    has_digits = odd.str.contains(r"\d").any()  # as `5+` of a column of classes
    if not (are_numbers or has_digits) and 0 < odd.len() <= MAX_ODD * given.len():
        logger.warning(
            "customers: column %r is text, since %d of %d values are no numbers, such as %r; "
            "where they stand for none, make them null_values",
            values.name,
            odd.len(),
            given.len(),
            odd[0],
        )


def _check_customers(rows: pl.DataFrame) -> None:
    is_repeated = pl.col("customer_id").is_duplicated()
    repeated = rows.filter(is_repeated).sort("customer_id", maintain_order=True)
    if repeated.height:
        one, other = repeated.head(2).iter_rows(named=True)
        differing = {name: (one[name], other[name]) for name in one if one[name] != other[name]}
        raise ValueError(
            f"customers: two rows contradict each other for {one['customer_id']!r}: {differing}"
        )
    if OWN_RATE not in rows.columns:
        return
    wrong = rows.filter(~pl.col(OWN_RATE).is_between(MIN_RATE, MAX_RATE))
    if wrong.height:
        customer, rate = wrong.select("customer_id", OWN_RATE).row(0)
        raise ValueError(
            f"customers: {OWN_RATE} of {customer!r} is {rate}; it must lie from {MIN_RATE} to {MAX_RATE}"
        )


def _read_table(table: Table, key: str, name: str) -> WholeTable:
    if key not in table.columns:
        raise ValueError(f"{name}.columns needs {key}")
    whole = read_whole(table)
    rows = whole.rows.drop(ROW).drop_nulls(key)
    missing = Counter({f"missing_{key}": whole.rows.height - rows.height})
    return replace(whole, rows=rows, left_out=whole.left_out + missing)
