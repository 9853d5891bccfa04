"""Sections of quality.html on what was looked for in the data: tables of what was found, a list of what was not."""

from collections.abc import Iterator, Mapping

from training.report.page import (
    Cell,
    Paragraph,
    Section,
    Table,
    facts,
    money,
    money_cell,
    number,
    share_cell,
)
from training.report.words.models import spaced
from training.results.orders import LongOrders, OrdersOfFiles, RepeatedAmounts
from training.results.quality import QualityReport

NOTHING: Mapping[str, Cell] = {}
Found = tuple[str, Table | None]  # what was looked for, and what was found of it


def check_sections(report: QualityReport) -> list[Section]:
    """A section for everything that was found, and the names of all that was not."""
    checks = dict(_checks(report))
    sections = [Section(heading, [table]) for heading, table in checks.items() if table is not None]
    absent = [heading for heading, table in checks.items() if table is None]
    if absent:
        said = "; ".join(f"{heading[0].lower()}{heading[1:]}" for heading in absent)
        sections.append(Section("Looked for, and not found", [Paragraph(f"{said}.")]))
    first, *others = sections
    return [Section(first.heading, first.parts, "What was looked for"), *others]


def _checks(report: QualityReport) -> Iterator[Found]:
    yield "Refunds", _refunds(report)
    yield "Outliers", _outliers(report)
    yield "Rows that name something in another table", _matches(report)
    yield "Lines of items that the item table does not hold", _unknown(report)
    yield "Dates far from all others", _far(report)
    yield "Weeks without a purchase", _gaps(report)
    yield "Customers with a share of orders that no person has", _heavy(report)
    yield "Orders that lost lines while others stay", _half(report)
    yield "Ids that may be written in two ways", _alike(report)
    yield (
        "Orders over months",
        _orders(
            "An order_id that is no order's", "orders over more than 60 days", report.long_orders
        ),
    )
    told_twice = report.orders_of_files
    yield (
        "Orders in several files",
        _orders(
            "Corrected, exported again, or told by lines and by sums",
            "orders in several files",
            told_twice,
            {"that come to the same in each": told_twice.of_same_money},
        ),
    )
    yield (
        "Orders whose lines all have one amount",
        _orders(
            "An amount that may be the order's total",
            "orders whose lines have one amount",
            report.repeated_amounts,
        ),
    )
    yield "Sources whose customers bought nothing there", _sources(report)
    yield "Several currencies", _currencies(report)
    yield "Files that were not read", _files(report)


def _refunds(report: QualityReport) -> Table | None:
    found = report.refunds
    if not found.total:
        return None
    return facts(
        "Refunds, and those whose purchase is known",
        {"refunds": found.total, "with their purchase": found.matched},
    )


def _outliers(report: QualityReport) -> Table | None:
    found = report.outliers
    if not found.total or found.fence is None:
        return None
    told: dict[str, Cell] = {
        "lines above the fence": found.total,
        f"the fence ({report.currency})": money(found.fence),
    }
    return facts("Lines of an unusual amount", told)


def _matches(report: QualityReport) -> Table | None:
    rows: list[list[Cell]] = [
        [name, found.rows, found.matched, share_cell(found.share)]
        for name, found in report.matches.items()
    ]
    header = ["table", "rows that name something in it", "found", "share"]
    return Table("Whether the names are in the table", header, rows) if rows else None


def _unknown(report: QualityReport) -> Table | None:
    found = report.unknown_to_catalogue
    if not found.lines:
        return None
    return facts("Lines without an item of the table", {"items": found.items, "lines": found.lines})


def _far(report: QualityReport) -> Table | None:
    found = report.far_dates
    if not found.rows:
        return None
    told: dict[str, Cell] = {
        "rows": found.rows,
        f"revenue ({report.currency})": money(found.revenue),
        "first": found.first_at,
        "last": found.last_at,
    }
    return facts("Rows set apart; they count nowhere else", told)


def _gaps(report: QualityReport) -> Table | None:
    rows: list[list[Cell]] = [[gap.first, gap.last, gap.days] for gap in report.gaps]
    caption = "Nobody bought, but before and after, and in no other year that is known"
    return Table(caption, ["first day", "last day", "days"], rows) if rows else None


def _heavy(report: QualityReport) -> Table | None:
    header = [
        "customer",
        "orders",
        "share of orders",
        "lines",
        "share of lines",
        "days",
        "most orders a day",
        f"revenue ({report.currency})",
        "kept or set apart",
    ]
    rows: list[list[Cell]] = [
        [
            each.customer_id,
            each.orders,
            share_cell(each.share_of_orders),
            each.lines,
            share_cell(each.share_of_lines),
            each.days,
            each.most_orders_a_day,
            money_cell(each.revenue),
            "set apart" if each.set_apart else "kept",
        ]
        for each in report.heavy_customers
    ]
    return Table("Ids that may stand for many people", header, rows) if rows else None


def _half(report: QualityReport) -> Table | None:
    found = report.orders_half_dropped
    told: dict[str, Cell] = {spaced(reason): orders for reason, orders in found.items() if orders}
    return facts("Orders, by why lines are left out", told) if told else None


def _alike(report: QualityReport) -> Table | None:
    found = report.alike_ids
    if not found.ids:
        return None
    told: dict[str, Cell] = {
        "ids": found.ids,
        "such as": ", ".join(found.example),
    }
    return facts("Ids alike but for letters, zeros or blanks", told)


def _orders(
    caption: str,
    what: str,
    found: LongOrders | OrdersOfFiles | RepeatedAmounts,
    more: Mapping[str, Cell] = NOTHING,
) -> Table | None:
    """How many of the orders are odd in some way, and an example."""
    if not found.orders:
        return None
    share = f"{number(found.orders)} of {number(found.of)}"
    return facts(caption, {what: share, **more, "such as": found.example or ""})


def _sources(report: QualityReport) -> Table | None:
    rows: list[list[Cell]] = [
        [path, found.customers, found.buyers] for path, found in report.customers_of_sources.items()
    ]
    header = ["source", "customers", "who bought by another"]
    return Table("Sources without purchases", header, rows) if rows else None


def _currencies(report: QualityReport) -> Table | None:
    rows: list[list[Cell]] = [
        [name, brought.rows, money_cell(brought.purchases), money_cell(brought.refunds)]
        for name, brought in report.currencies.items()
    ]
    header = [
        "currency",
        "rows",
        f"purchases ({report.currency})",
        f"refunds ({report.currency})",
    ]
    caption = "What came in each, in the shop's currency"
    return Table(caption, header, rows) if rows else None


def _files(report: QualityReport) -> Table | None:
    rows = [[name] for name in report.files_not_read]
    return Table("In the folders of the sources", ["file"], rows) if rows else None
