"""Rows that are read as sales, though a column of the file calls them failed, cancelled or a balance."""

import logging
import re
from pathlib import Path

import polars as pl

from lifecycle.events.schema import REVENUE_KINDS, is_purchase
from training.ingest.sources import Source, Sql
from training.ingest.tables.currencies.codes import words_of
from training.ingest.tables.currencies.unmapped import first_rows
from training.ingest.tables.rows import ROW, Rows
from training.ingest.tables.sql.expressions import Expression

logger = logging.getLogger(__name__)
STATUS_NAME = re.compile(r"status|statut|stato\b|estado|(?<![a-z])state$|zustand", re.IGNORECASE)
TYPE_NAME = re.compile(
    r"(?<![a-z])(?:type|typ|kind|event|transaction|art|vorgang)(?: name)?$|(?:beleg|buchungs)art$"
)
FLAG_NAME = re.compile(
    r"(?<![a-z])(?:cancell?ed|voided|refunded|returned|reversed|deleted|storniert|annulé|annulée)(?![a-z])"
    r"|^(?:is )?(?:an? )?(?:void|return|refund|storno|retoure|test (?:order|mode)|sandbox)(?: flag)?$|^is (?:a )?test$"
    r"|(?<![a-z])(?:refund|return)s? (?:amount|total|value|qty|quantity)$"
    r"|^(?:debits?|withdrawals?|money out|paid out|soll|belastung|ausgang|débit|cargo|addebito)(?: amount)?$"
)
PAID_NAME = re.compile(
    r"^(?:is )?(?:paid|captured|live ?mode|successful|success|succeeded|bezahlt)$"
)
SIGN_NAME = re.compile(
    r"^(?:soll|debit|dr|d|s) (?:haben|credit|cr|c|h)(?: \w+)?$|^credit debit(?: \w+)?$"
    r"|^(?:dc|sign|vorzeichen|direction)$"
)
REFUNDS_FILE = re.compile(
    r"(?<![a-z])(?:refunds?|returns?|credit ?(?:notes?|memos?)|charge ?backs?|gutschrift(?:en)?|stornos?|stornierungen"
    r"|retouren?|erstattungen|remboursements|avoirs|reembolsos|devoluciones|resi)(?![a-z])"
)
NO_SALE = (
    r"(?i)^(?:wc|payment|order|partial(?:ly)?)?[\s_-]*(?:fail|declin|denied|reject|refus|cancel|void|expired|abandon"
    r"|not[\s_-]?paid|requires|awaiting|on[\s_-]hold"
    r"|unpaid|refund|charge[\s_-]?back|revers|storn|abgebrochen|fehlgeschlagen|annul|échou|échec|rembours|fallid"
    r"|rechaz|reembols|geannuleerd|mislukt|trash|deleted|incomplete|pending|draft|bounced|retur(?:$|n$|ned)|disputed"
    r"|uncollect|written[\s_-]?off|invalid|error|no[\s_-]?show|timed?[\s_-]?out|pledged|pro[\s_-]?forma"
    r"|quot(?:e$|ed$|ation)|waitlist|sospes|unbezahlt|impay|insolut|zwrot|anulow|отмен|возвра|キャンセル|返金|取消|退款)"
)
GIVEN_BACK = (
    r"(?i)^(?:payment|sales?|order|partial(?:ly)?|customer)?[\s_-]*(?:refund|return|credit[\s_-]?(?:note|memo)"
    r"|charge[\s_-]?back|revers|void|cancel|payout|withdrawal|gutschrift|storno|retoure|(?:rück)?erstattung"
    r"|rembours|avoir|devoluc|reembols|nota de cr|rimbors|reso$|quote$|estimate$|pro[\s_-]?forma"
    r"|cr?n$|delivery[\s_-]?note|lieferschein|angebot$|devis$|preventivo|zwrot|возвра|返品|退货)"
)
UNSET = r"(?i)^(?:false|f|no|n|nein|non|0)$"
SET = r"(?i)^(?:true|t|yes|y|x|ja|oui|s[ií]|\d.*[1-9].*|[1-9].*)$"  # also a time, and an amount above 0
BALANCE = (
    r"(?i)(?:opening|closing|starting|beginning|ending) balance|balance (?:brought|carried) forward"
    r"|anfangs(?:saldo|bestand)|saldovortrag|endsaldo|schlusssaldo|beginsaldo|eindsaldo|report à nouveau"
    r"|solde (?:initial|d['’]ouverture|final|de clôture)|saldo (?:inicial|anterior|iniziale|finale?)"
    r"|saldo (?:początkowe|końcowe)"
)


def warn_of_no_sales(
    frame: pl.LazyFrame, source: Source, expressions: list[Expression], file: Path
) -> None:
    """Say which of the first rows count as purchases though a column calls them something else."""
    own = frame.collect_schema()
    texts = [name for name, dtype in own.items() if dtype == pl.String or _is_flag(name, dtype)]
    deciding = [each for each in expressions if each.is_filter or each.column == "kind"]
    needed = {name for each in deciding for name in each.types}
    mapped = {name for each in expressions for name in each.types} - needed
    is_all_sales = source.kind in (None, *REVENUE_KINDS) and not needed
    if is_all_sales and REFUNDS_FILE.search(words_of(file.stem)):
        logger.warning(
            "%s counts as sales, by its name it may hold refunds: say `kind: refund`", file
        )
    if not texts or not needed.issubset(own):  # those of a lookup are not joined yet
        return
    unsigned = _unsigned(source, expressions)
    sample = first_rows(frame, list(dict.fromkeys([*texts, *needed, *unsigned])))
    if not needed.issubset(sample.columns):
        return
    sales = _sales(sample, source, deciding, file)
    for name in (name for name in unsigned if name in sales.columns):
        numbers = sales[name].cast(pl.Float64, strict=False)
        if (numbers < 0).any() and (numbers > 0).any():
            logger.warning(
                "%s: amount is without sign, but of rows that count as sales column %r has both signs; say in `kind` "
                "which are refunds",
                file,
                name,
            )
    for name in (name for name in texts if name in sales.columns):
        pattern = BALANCE if name in mapped else _pattern(name)
        values = sales[name].cast(pl.String).str.strip_chars()
        if SIGN_NAME.search(words_of(name)) and values.n_unique() == 2 and name not in mapped:
            logger.warning(
                "%s: rows that count as sales have %s in column %r; are some of them money that went back? "
                "Say so in `kind`",
                file,
                sorted(values.drop_nulls().unique()),
                name,
            )
        told = values.filter(values.str.contains(pattern))
        if 0 < told.len():
            logger.warning(
                "%s: of the first %d rows that count as sales %d have %r in column %r; "
                "leave them out by `filter`, or say in `kind` what they are",
                file,
                sales.height,
                told.len(),
                told[0],
                name,
            )


def _unsigned(source: Source, expressions: list[Expression]) -> list[str]:
    """The columns of a file of which the amount takes ABS."""
    amount = source.columns.get("amount")
    if not isinstance(amount, Sql) or not re.search(r"\bABS\s*\(", amount.sql, re.IGNORECASE):
        return []
    return [name for each in expressions if each.column == "amount" for name in each.types]


def _pattern(name: str) -> str:
    """What texts of a column say that are no sale, by its name."""
    words = words_of(name)
    if FLAG_NAME.search(words):
        return SET
    if PAID_NAME.search(words):
        return UNSET
    if STATUS_NAME.search(name):
        return NO_SALE
    return GIVEN_BACK if TYPE_NAME.search(words) else BALANCE


def _is_flag(name: str, dtype: pl.DataType) -> bool:
    """Whether a column of Parquet or JSON, which is no text, says by its values that a row is no sale."""
    is_plain = dtype.is_numeric() or dtype in (pl.Boolean, pl.Date, pl.Datetime)
    return is_plain and _pattern(name) in (SET, UNSET)


def _sales(
    sample: pl.DataFrame, source: Source, deciding: list[Expression], file: Path
) -> pl.DataFrame:
    """The rows that filters keep and whose kind brings revenue."""
    rows = Rows(sample.with_row_index(ROW, 1), source, file)
    rows.keep_all(deciding)
    kind = next(each for each in deciding if each.column == "kind")
    kinds = rows.evaluate(kind).cast(pl.String).alias("kind")
    return rows.rows.filter(kinds.to_frame().select(is_purchase().fill_null(False)).to_series())
