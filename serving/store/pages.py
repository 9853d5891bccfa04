"""All customers of a state, page by page: by segment, stage and value, the most valuable first."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from lifecycle.state.files import CUSTOMERS_FILE

COLUMNS = (
    "customer_id",
    "as_of",
    "clv",
    "clv_low_80",
    "clv_high_80",
    "expected_orders",
    "churn_probability",
    "segment",
    "stage",
    "next_best_action",
)


@dataclass(frozen=True)
class Place:
    """The customer behind whom a page begins."""

    clv: float
    customer_id: str


@dataclass(frozen=True)
class CustomerPages:
    """Pages out of a folder of customer state; the file is read for each, its columns alone that are asked for."""

    folder: Path

    def page(
        self,
        *,
        segment: str | None,
        stage: str | None,
        min_clv: float | None,
        after: Place | None,
        limit: int,
    ) -> pl.DataFrame:
        """COLUMNS of the next `limit` customers by clv, highest first, equal ones by customer_id."""
        clv = pl.col("clv")
        conditions = [
            pl.col(name) == wanted
            for name, wanted in (("segment", segment), ("stage", stage))
            if wanted is not None
        ]
        if min_clv is not None:
            conditions.append(clv >= min_clv)
        if after is not None:
            is_later = (clv == after.clv) & (pl.col("customer_id") > after.customer_id)
            conditions.append((clv < after.clv) | is_later)
        customers = pl.scan_parquet(self.folder / CUSTOMERS_FILE)
        for condition in conditions:
            customers = customers.filter(condition)
        ordered = customers.sort("clv", "customer_id", descending=[True, False])
        return ordered.head(limit).select(COLUMNS).collect()
