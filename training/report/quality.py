"""quality.html: what ingest kept and why not, for people."""

from pathlib import Path


def write_quality_html(path: Path, report: dict[str, object]) -> None:
    """quality.json for people: what was kept and why not, with plots."""
    from training.report.page import bar_chart, table, write_page

    def mapping(key: str) -> dict[str, object]:
        value = report[key]
        assert isinstance(value, dict)
        return value

    verdicts = {
        name: f"{'yes' if verdict['supported'] else 'no'}: {verdict['reason']}"
        for name, verdict in mapping("models").items()
        if isinstance(verdict, dict)
    }
    facts = {key: report[key] for key in ("num_rows_read", "num_events", "num_customers", "num_items", "currency",
                                          "first_event_at", "last_event_at", "days")}  # fmt: skip
    write_page(path, "Data quality", [
        ("What came in", table(facts) + table(mapping("rows_read"))),
        ("Rows left out, by reason", table(mapping("rows_dropped")) + table(mapping("duplicates"))),
        ("Which models these data support", table(verdicts)),
        ("Revenue by month", bar_chart(mapping("revenue_by_month"), str(report["currency"]))),
        ("Customers by number of orders", bar_chart(mapping("customers_by_orders"), "customers")),
        ("Events by kind", table(mapping("events_by_kind"))),
        ("Refunds and outliers", table(mapping("refunds")) + table(mapping("outliers"))),
        ("Missing values", table(mapping("missing_values"))),
        ("Lines of items that the item table does not hold", table(mapping("unknown_to_catalogue"))),
    ])  # fmt: skip
