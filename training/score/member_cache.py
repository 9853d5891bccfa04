"""What the LLaMA encoders expected of customers, kept beside their scores: who did nothing since is not read again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

MEMBERS_FILE = "members.parquet"  # HISTORY, computed_at, and the spend by each encoder
# Buyers and their events to spend (n,).
Predict = Callable[[pl.DataFrame, pl.DataFrame], np.ndarray]
# Also where events come in late or corrected.
HISTORY = [
    "customer_id",
    "num_events",
    "last_event_at",
    "total_cents",
]


@dataclass(frozen=True)
class MemberCache:
    """What is remembered, and for how long: silence, too, changes what an encoder expects."""

    remembered: pl.DataFrame
    max_age_days: int

    def spend(
        self,
        buyers: pl.DataFrame,
        events: pl.DataFrame,
        as_of: datetime,
        predict: Mapping[str, Predict],
    ) -> pl.DataFrame:
        """The columns of MEMBERS_FILE, one row per buyer in their order; `predict` reads those who are not remembered.

        A customer is remembered whose events before `as_of` are as many, of the same total and the
        last as late as when it was computed, at most `max_age_days` ago.
        """
        before = events.filter(pl.col("occurred_at") < as_of)
        history = before.group_by("customer_id").agg(
            pl.len().cast(pl.Int64).alias("num_events"),
            pl.col("occurred_at").max().alias("last_event_at"),
            (100 * pl.col("amount").fill_null(0.0))
            .round()
            .cast(pl.Int64)
            .sum()
            .alias("total_cents"),
        )
        now = buyers.select("customer_id").join(
            history, on="customer_id", how="left", maintain_order="left"
        )
        oldest = as_of - timedelta(days=self.max_age_days)
        fresh = self.remembered.filter(pl.col("computed_at").is_between(oldest, as_of))
        known = now.join(fresh, on=HISTORY, how="semi")["customer_id"]
        new = buyers.filter(~pl.col("customer_id").is_in(known.implode()))
        computed = now.join(
            new.select("customer_id"), on="customer_id", how="semi", maintain_order="left"
        )
        computed = computed.with_columns(
            pl.lit(as_of).cast(pl.Datetime("us", "UTC")).alias("computed_at"),
            *(
                pl.Series(name, of(new, events) if new.height else [], dtype=pl.Float64)
                for name, of in predict.items()
            ),
        )
        kept = fresh.filter(pl.col("customer_id").is_in(known.implode())).select(computed.columns)
        return now.select("customer_id").join(
            pl.concat([kept, computed]), on="customer_id", how="left", maintain_order="left"
        )


def empty_cache(names: list[str]) -> MemberCache:
    """One that remembers nobody."""
    instant = pl.Datetime("us", "UTC")
    schema = {"customer_id": pl.String(), "num_events": pl.Int64(), "last_event_at": instant}
    schema |= {"total_cents": pl.Int64(), "computed_at": instant}
    schema |= dict.fromkeys(names, pl.Float64())
    return MemberCache(pl.DataFrame(schema=schema), 0)
