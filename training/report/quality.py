"""quality.html: what ingest kept and why not, for people."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from training.report.months import (
    gap_months,
    months_over_years,
    partial_months,
    partial_words,
    revenue_bars,
    season_words,
    since_gaps,
    trend_words,
    whole_months,
)
from training.report.page import (
    Cell,
    Paragraph,
    Part,
    Section,
    Table,
    bar_chart,
    facts,
    money,
    money_cell,
    number,
    write_page,
)
from training.report.quality_checks import check_sections
from training.report.words.models import MODELS, listed, model_words, spaced
from training.results.quality import QualityReport

MAX_WARNINGS = 20  # on the page


def write_quality_html(path: Path, report: QualityReport) -> None:
    """quality.json for people: what the data are good for, what was kept and why not, what was found in them."""
    sections = [
        _came_in(report),
        *_warned(report),
        _season(report),
        Section("Which models these data support", [_models(report)]),
        Section("Customers by number of orders", [_customers(report)]),
        *_kept(report),
        *check_sections(report),
    ]
    write_page(path, "Data quality", sections)


def _came_in(report: QualityReport) -> Section:
    revenue = sum(report.revenue_by_month.values())
    totals: dict[str, Cell] = {
        "rows read": report.num_rows_read,
        "events kept": report.num_events,
        "customers": report.num_customers,
        "items": report.num_items,
        f"revenue ({report.currency})": money(revenue),
        "first event": _minute(report.first_event_at),
        "last event": _minute(report.last_event_at),
        "days": report.days,
    }
    kinds = {spaced(kind): count for kind, count in report.events_by_kind.items()}
    return Section(
        "What came in",
        [
            facts("The data as a whole", totals),
            facts("Rows read, by source", report.rows_read),
            facts("Events kept, by kind", kinds),
        ],
        "What there is",
    )


def _warned(report: QualityReport) -> list[Section]:
    """What the data's owner should look at before they trust the rest, where there is anything."""
    lines = [Paragraph(line) for line in report.warnings[:MAX_WARNINGS]]
    others = len(report.warnings) - len(lines)
    if others:
        lines.append(Paragraph(f"{others} more stand in quality.json."))
    return [Section("Look at this first", lines)] if lines else []


def _minute(instant: str) -> str:
    return f"{datetime.fromisoformat(instant):%Y-%m-%d %H:%M}"


def _season(report: QualityReport) -> Section:
    """Months in the order of time and, where there are several years, over each other."""
    revenue = report.revenue_by_month
    if not revenue:
        return Section("Revenue by month, season and trend", [Paragraph("There is no revenue.")])
    first = datetime.fromisoformat(report.first_event_at).date()
    last = datetime.fromisoformat(report.last_event_at).date()
    found = partial_months(first, last)
    partial = {month: days for month, days in found.items() if month in revenue}
    partial |= gap_months(report.gaps)
    months = whole_months(revenue, partial)
    season = season_words(since_gaps(months, report.gaps))
    said = " ".join(filter(None, (trend_words(months), season, partial_words(partial))))
    parts: list[Part] = [Paragraph(said), revenue_bars(revenue, partial, report.currency)]
    if len({month[:4] for month in months}) > 1:
        parts.append(months_over_years(revenue, partial, report.currency))
    return Section("Revenue by month, season and trend", parts)


def _models(report: QualityReport) -> Table:
    """A row for all models that need and have the same."""
    alike: dict[tuple[bool, str], list[str]] = {}
    for name, model in report.models.items():
        told = model_words(name) if name in MODELS else spaced(name)
        alike.setdefault((model.supported, model.reason), []).append(told)
    rows: list[list[Cell]] = [
        [listed(names), "yes" if supported else "no", reason]
        for (supported, reason), names in alike.items()
    ]
    return Table("Models, and what they need", ["model", "supported", "needs: has"], rows)


def _customers(report: QualityReport) -> Part:
    return bar_chart(report.customers_by_orders, "orders", "customers")


def _kept(report: QualityReport) -> list[Section]:
    """The account of all rows, and what the columns lack."""
    duplicates = report.duplicates
    copies: dict[str, Cell] = {
        "left out: equal in every column": duplicates.dropped_exact,
        "left out: the same id": duplicates.dropped_same_id,
        "kept: equal, but lines of their own": duplicates.kept_equal,
        "purchases of these": round(duplicates.kept_equal_revenue, 2),
    }
    parts: list[Part] = [_account(report)]
    if report.amounts_as_zero:
        zeros: dict[str, Cell] = {"purchases, renewals and refunds": report.amounts_as_zero}
        parts.append(facts("Missing amounts taken as 0", zeros))
    if any(copies.values()):
        parts.append(facts("Rows that came more than once", copies))
    sections = [Section("Rows kept and left out, by reason", parts, "What was kept, and why not")]
    if report.tables:
        sections.append(Section("Rows of the other tables", [_tables(report)]))
    if report.missing_values:
        missing = _in_words(report.missing_values)
        sections.append(
            Section("Missing values", [facts("Events without a value, by column", missing)])
        )
    return sections


def _in_words(counts: Mapping[str, int]) -> dict[str, Cell]:
    return {spaced(name): count for name, count in counts.items()}


def _account(report: QualityReport) -> Table:
    """What was read, kept and left out by reason, in rows and money."""
    account = report.account
    lines = {"read": account.read, "kept": account.kept}
    lines |= {f"left out: {spaced(reason)}": lost for reason, lost in account.dropped.items()}
    header = [
        "",
        "rows",
        f"purchases ({report.currency})",
        f"refunds ({report.currency})",
        "rows without an amount",
    ]
    rows: list[list[Cell]] = [
        [name, lost.rows, money_cell(lost.purchases), money_cell(lost.refunds), lost.without_amount]
        for name, lost in lines.items()
    ]
    return Table("What was read is kept, or left out for a reason", header, rows)


def _tables(report: QualityReport) -> Table:
    rows: list[list[Cell]] = []
    for name, found in report.tables.items():
        reasons = ", ".join(
            f"{number(count)} {spaced(reason)}" for reason, count in found.dropped.items()
        )
        rows.append([name, found.read, found.kept, reasons or "none"])
    return Table(
        "Items, customers, rates and look-ups", ["table", "read", "kept", "left out"], rows
    )
