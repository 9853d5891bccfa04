"""quality.html: what ingest kept and why not, for people."""

from pathlib import Path

from training.report.page import Cell, Section, Table, bar_chart, facts, write_page
from training.results.quality import QualityReport


def write_quality_html(path: Path, report: QualityReport) -> None:
    """quality.json for people: what was kept and why not, with plots."""
    totals: dict[str, Cell] = {
        "num_rows_read": report.num_rows_read,
        "num_events": report.num_events,
        "num_customers": report.num_customers,
        "num_items": report.num_items,
        "currency": report.currency,
        "first_event_at": report.first_event_at,
        "last_event_at": report.last_event_at,
        "days": report.days,
    }
    verdicts = {
        name: f"{'yes' if model.supported else 'no'}: {model.reason}"
        for name, model in report.models.items()
    }
    revenue = bar_chart(report.revenue_by_month, report.currency)
    customers = bar_chart(report.customers_by_orders, "customers")
    sections = [
        Section("What came in", [facts(totals), facts(report.rows_read)]),
        Section(
            "Rows kept and left out, by reason",
            [_account(report), facts(report.duplicates.model_dump())],
        ),
        Section("Which models these data support", [facts(verdicts)]),
        Section("Revenue by month", [revenue]),
        Section("Customers by number of orders", [customers]),
        Section("Events by kind", [facts(report.events_by_kind)]),
        Section(
            "Refunds and outliers",
            [facts(report.refunds.model_dump()), facts(report.outliers.model_dump())],
        ),
        Section("Missing values", [facts(report.missing_values)]),
        Section(
            "Lines of items that the item table does not hold",
            [facts(report.unknown_to_catalogue.model_dump())],
        ),
        Section("Rows of the other tables", [_tables(report)]),
        Section("Rows found in other tables", [_matches(report)]),
        Section("Dates far from all others", [facts(report.far_dates.model_dump())]),
        Section("Customers with a share of orders that no person has", [_heavy(report)]),
        Section("Orders that lost lines while others stay", [facts(report.orders_half_dropped)]),
        Section("Ids that may be written in two ways", [_ids(report)]),
        Section(
            "Files that were not read", [Table([], [[name] for name in report.files_not_read])]
        ),
    ]
    write_page(path, "Data quality", sections)


def _account(report: QualityReport) -> Table:
    """What was read, kept and left out by reason, in rows and money."""
    account = report.account
    lines = {"read": account.read, "kept": account.kept, **account.dropped}
    header = [
        "",
        "rows",
        f"purchases ({report.currency})",
        f"refunds ({report.currency})",
        "rows without an amount",
    ]
    rows: list[list[Cell]] = [
        [name, money.rows, money.purchases, money.refunds, money.without_amount]
        for name, money in lines.items()
    ]
    return Table(header, rows)


def _ids(report: QualityReport) -> Table:
    alike = report.alike_ids
    long = report.long_orders
    files = report.orders_of_files
    same = report.repeated_amounts
    rows: list[list[Cell]] = [
        ["alike but for letters, zeros or blanks", alike.ids, ", ".join(alike.example)],
        ["orders over more than 60 days", long.orders, long.example or ""],
        ["orders in several files", files.orders, files.example or ""],
        ["orders whose lines all have one amount", same.orders, same.example or ""],
    ]
    for path, found in report.customers_of_sources.items():
        rows.append([f"customers of {path}", found.customers, f"{found.buyers} of them bought"])
    return Table(["", "number", ""], rows)


def _tables(report: QualityReport) -> Table:
    rows: list[list[Cell]] = []
    for name, found in report.tables.items():
        reasons = ", ".join(f"{count} {reason}" for reason, count in found.dropped.items())
        rows.append([name, found.read, found.kept, reasons])
    return Table(["table", "read", "kept", "left out"], rows)


def _matches(report: QualityReport) -> Table:
    rows: list[list[Cell]] = [
        [name, found.rows, found.matched, found.share] for name, found in report.matches.items()
    ]
    return Table(["table", "rows that name something in it", "found", "share"], rows)


def _heavy(report: QualityReport) -> Table:
    header = [
        "customer",
        "orders",
        "share",
        "lines",
        "share",
        "days",
        "most orders a day",
        "revenue",
        "",
    ]
    rows: list[list[Cell]] = [
        [
            each.customer_id,
            each.orders,
            each.share_of_orders,
            each.lines,
            each.share_of_lines,
            each.days,
            each.most_orders_a_day,
            each.revenue,
            "set apart" if each.set_apart else "kept",
        ]
        for each in report.heavy_customers
    ]
    return Table(header, rows)
