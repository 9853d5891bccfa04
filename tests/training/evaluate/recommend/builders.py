"""Rankings of a few customers, for tests."""

import polars as pl


def ranking(items: dict[str, list[str]]) -> pl.DataFrame:
    """By customer the items, best first; all scores are 1."""
    rows = [
        (customer, rank, item, 1.0)
        for customer, ranked in items.items()
        for rank, item in enumerate(ranked, start=1)
    ]
    columns = ["customer_id", "rank", "item_id", "score"]
    return pl.DataFrame(rows, schema=columns, orient="row")
