"""The account of ingest: every row that was read is kept, or dropped for a reason, and so is its money."""

from dataclasses import dataclass, field

import polars as pl

from lifecycle.events.schema import is_purchase
from training.results.quality import Money, MoneyAccount

TOLERANCE = 1e-9  # relative to what was read


def money_of(rows: pl.DataFrame) -> Money:
    """What rows with `kind` and, where they have one, `amount` come to; a refund's sign does not matter."""
    amount = pl.col("amount") if "amount" in rows.columns else pl.lit(None, pl.Float64)
    bought = pl.when(is_purchase()).then(amount)
    taken_back = pl.when(pl.col("kind") == "refund").then(-amount.abs())
    purchases, refunds, counted = rows.select(
        purchases=bought.sum(),
        refunds=taken_back.sum(),
        counted=pl.coalesce(bought, taken_back).count(),
    ).row(0)
    return Money(
        rows=rows.height,
        purchases=purchases,
        refunds=refunds,
        without_amount=rows.height - counted,
    )


@dataclass
class Account:
    """What was read, kept, and dropped by reason so far."""

    read: Money = field(default_factory=Money)
    kept: Money = field(default_factory=Money)
    dropped: dict[str, Money] = field(default_factory=dict)

    def drop(self, reason: str, rows: pl.DataFrame) -> None:
        """Enter rows that are left out."""
        if rows.height:
            self.enter(reason, money_of(rows))

    def enter(self, reason: str, money: Money) -> None:
        """Enter what is left out; money without rows is that of amounts made smaller."""
        self.dropped[reason] = self.dropped.get(reason, Money()).plus(money)

    def add(self, other: "Account") -> None:
        """Take in the account of one shard."""
        self.read = self.read.plus(other.read)
        self.kept = self.kept.plus(other.kept)
        for reason, money in other.dropped.items():
            self.enter(reason, money)

    def balanced(self) -> MoneyAccount:
        """The account as quality.json has it; AssertionError where something disappeared, which is a fault of ours."""
        told = self.kept
        for money in self.dropped.values():
            told = told.plus(money)
        for name in ("rows", "purchases", "refunds"):
            was_read, is_told = getattr(self.read, name), getattr(told, name)
            scale = max(
                1.0, abs(was_read), *(abs(getattr(each, name)) for each in self.dropped.values())
            )
            assert abs(was_read - is_told) <= TOLERANCE * scale, (
                f"the account of ingest does not balance: {name} read {was_read}, kept and dropped {is_told}"
            )
        return MoneyAccount(read=self.read, kept=self.kept, dropped=dict(self.dropped))
