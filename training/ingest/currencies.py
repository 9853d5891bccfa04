"""Money in several currencies, brought to the shop's own by the recipe's rates before anything is added up."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Annotated, ClassVar

import polars as pl
from pydantic import BeforeValidator, field_validator

from training.ingest.quality.account import money_of
from training.ingest.quality.read_counts import ReadCounts
from training.ingest.refunds import CURRENCY_NUMBER, RATE
from training.ingest.sources import CURRENCY, Source, Table, Value, where
from training.ingest.tables.batches import ParsedRows
from training.ingest.tables.currencies.codes import canonical, canonical_codes
from training.ingest.tables.currencies.unmapped import MONEY
from training.ingest.tables.rows import ROW
from training.ingest.tables.whole import WholeTable, read_whole
from training.ingest.unmapped_codes import UnmappedCodes
from training.results.quality import Money

ALWAYS = date(1, 1, 1)
RATES = pl.Schema({CURRENCY: pl.String(), "date": pl.Date(), "rate": pl.Float64()})


class RatesTable(Table):
    """Rates in a file: columns `currency`, `rate`, and `date` where they change; each holds from its date on."""

    times: ClassVar[tuple[str, ...]] = ("date",)
    numbers: ClassVar[tuple[str, ...]] = ("rate",)

    @field_validator("columns")
    @classmethod
    def _whole(cls, columns: dict[str, Value]) -> dict[str, Value]:
        for name in columns:
            if name not in RATES:
                raise ValueError(f"unknown column {name!r}; rates have {', '.join(RATES)}")
        for name in (CURRENCY, "rate"):
            if name not in columns:
                raise ValueError(f"needs {name}")
        return columns


def _checked_rate(value: object) -> object:
    by_date = value if isinstance(value, Mapping) else {ALWAYS: value}
    for since, rate in by_date.items():
        if not isinstance(since, date):
            date.fromisoformat(str(since))
        if not isinstance(rate, int | float) or rate <= 0:
            raise ValueError("a rate is a number above 0, or a map from dates to such numbers")
    return value


# Units of the shop's currency for one of another, by its code; or by the dates from which on each holds.
Rates = dict[str, Annotated[float | dict[date, float], BeforeValidator(_checked_rate)]]


@dataclass(frozen=True)
class Exchange:
    """The shop's currency, and what one unit of each is worth in it from a date on."""

    own: str
    rates: pl.DataFrame  # RATES
    unmapped: UnmappedCodes  # what other columns of the tables say of their currencies

    def converted(self, batch: ParsedRows, source: Source) -> ParsedRows:
        """Rows whose money is in the shop's currency; of those that were left out what is unknown is missing.

        Raises ValueError with file, row and value where no rate holds, or where a column that the
        recipe does not map has other currencies.
        """
        self.unmapped.add(batch.currency_codes)
        if CURRENCY not in source.columns:
            return batch
        factors = self._factors(batch.rows)
        columns = [name for name in MONEY if name in batch.rows.columns]
        has_money = pl.any_horizontal(pl.col(columns).fill_null(0.0) != 0.0)
        lacking = batch.rows.filter(
            factors.is_null() & has_money & pl.col("occurred_at").is_not_null()
        )
        if lacking.height:
            raise ValueError(self._problem(batch, source, lacking))
        left_out = {
            reason: rows.with_columns(pl.col("amount") * self._factors(rows))
            for reason, rows in batch.left_out.items()
        }
        rows = batch.rows.with_columns(
            *self._changing(batch.rows, factors), pl.col(columns) * factors.fill_null(1.0)
        )
        return replace(batch, rows=rows, left_out=left_out)

    def _changing(self, rows: pl.DataFrame, factors: pl.Series) -> list[pl.Series]:
        """What `match_refunds` needs of rows whose currency has several rates; nothing where none has."""
        several = self.rates.filter(pl.col(CURRENCY).is_duplicated())[CURRENCY].unique().sort()
        if several.is_empty():
            return []
        codes = rows.select(canonical_codes(CURRENCY)).to_series()
        number = codes.replace_strict(
            several, range(len(several)), default=None, return_dtype=pl.UInt16()
        )
        return [number.alias(CURRENCY_NUMBER), factors.alias(RATE)]

    def converted_prices(self, table: WholeTable) -> pl.DataFrame:
        """Items whose prices are in the shop's currency, which they name no more.

        Prices have no date. Raises ValueError where a currency has no rate, or several, and that of
        `converted`.
        """
        self.unmapped.add(table.currency_codes)
        items = table.rows
        if not {CURRENCY, "price"} <= set(items.columns):
            return items
        lasting = self.rates.filter(~pl.col(CURRENCY).is_duplicated())
        rates = lasting.select(CURRENCY, pl.col("rate").alias(RATE))
        codes = items.with_columns(canonical_codes(CURRENCY))
        rated = codes.join(rates, on=CURRENCY, how="left", maintain_order="left")
        lacking = rated.filter((pl.col("price") != 0.0) & pl.col(RATE).is_null())
        if lacking.height:
            raise ValueError(self._price_problem(*lacking.select("item_id", CURRENCY).row(0)))
        return rated.with_columns(pl.col("price") * pl.col(RATE).fill_null(1.0)).drop(
            CURRENCY, RATE
        )

    def _price_problem(self, item: str, code: str | None) -> str:
        place = f"items: the price of {item!r}"
        if code is None:
            return f"{place} has no currency"
        if code not in self.rates[CURRENCY]:
            return f"{place} is in {code!r}; say rates.{code}, how much {self.own} one {code} is"
        return (
            f"{place} is in {code}, whose rates change, and prices have no date; compute the price in "
            f"{self.own}, and say `currency: {{sql: \"'{self.own}'\"}}` in items.columns"
        )

    def _factors(self, rows: pl.DataFrame) -> pl.Series:
        """What one unit of each row's currency is worth, without a date by the latest rate; null where unknown."""
        day = pl.col("occurred_at").dt.date().fill_null(date.max).alias("date")
        keys = rows.select(ROW, canonical_codes(CURRENCY), day).sort("date")
        # Without `by` among sorted keys polars warns that it cannot check the order.
        found = keys.join_asof(
            self.rates, on="date", by=CURRENCY, strategy="backward", check_sortedness=False
        )
        return found.sort(ROW)["rate"]

    def _problem(self, batch: ParsedRows, source: Source, lacking: pl.DataFrame) -> str:
        row, code, at = lacking.select(ROW, canonical_codes(CURRENCY), "occurred_at").row(0)
        place = where(source, batch.file, row)
        if code is None:
            return f"{place}: has money and no currency"
        if code in self.rates[CURRENCY]:
            return f"{place}: rates.{code} begin after {at.date()}"
        return f"{place}: currency is {code!r}; say rates.{code}, how much {self.own} one {code} is"


def exchange_of(
    own: str, rates: Rates, table: RatesTable | None, counts: ReadCounts, *, is_stated: bool
) -> Exchange:
    """The rates of a recipe. ValueError where one for the shop's own currency is not 1, or two hold at once."""
    rows = _from_recipe(rates)
    if table is not None:
        rows = pl.concat([rows, _from_table(table, counts)])
    other = rows.filter((canonical_codes(CURRENCY) == canonical(own)) & (pl.col("rate") != 1.0))
    if other.height:
        raise ValueError(f"rates.{own} is {other['rate'][0]}; the shop's own currency has rate 1")
    own_rate = pl.DataFrame([(canonical(own), ALWAYS, 1.0)], schema=RATES, orient="row")
    known = pl.concat(
        [
            rows.filter(canonical_codes(CURRENCY) != canonical(own)).with_columns(
                canonical_codes(CURRENCY)
            ),
            own_rate,
        ]
    )
    for code, since in (
        known.filter(pl.struct(CURRENCY, "date").is_duplicated()).select(CURRENCY, "date").rows()
    ):
        raise ValueError(f"rates.{code}: two rates hold from {since} on")
    unmapped = UnmappedCodes(canonical(own), is_stated=is_stated)
    return Exchange(canonical(own), known.sort("date"), unmapped)


def _from_recipe(rates: Rates) -> pl.DataFrame:
    rows = []
    for code, value in rates.items():
        by_date = value if isinstance(value, dict) else {ALWAYS: value}
        rows += [(code, since, rate) for since, rate in by_date.items()]
    return pl.DataFrame(rows, schema=RATES, orient="row")


def _from_table(table: RatesTable, counts: ReadCounts) -> pl.DataFrame:
    whole = read_whole(table)
    rows = whole.rows
    counts.set_table("rates", whole.num_read, rows.height, whole.left_out)
    if "date" not in rows.columns:
        rows = rows.with_columns(date=pl.lit(ALWAYS))
    wrong = rows.filter(pl.any_horizontal(pl.all().is_null()) | ~(pl.col("rate") > 0))
    if wrong.height:
        raise ValueError(
            f"{where(table, Path(table.path), wrong[ROW][0])}: needs a currency, a date and a rate above 0"
        )
    return rows.select(pl.col(name).cast(dtype) for name, dtype in RATES.items())


def money_by_currency(rows: pl.DataFrame) -> dict[str, Money]:
    """What rows of each currency come to, in the shop's."""
    if CURRENCY not in rows.columns:
        return {}
    groups = rows.with_columns(canonical_codes(CURRENCY)).partition_by(CURRENCY, as_dict=True)
    return {str(code): money_of(part) for (code,), part in groups.items()}
