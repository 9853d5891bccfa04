"""A simulated shop of plans: each customer's future is known, beyond the day on which the shop's log ends."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

FIRST_DAY = datetime(2021, 1, 1, tzinfo=UTC)
LOG_DAYS = 1200.0  # what the shop exports
ALL_DAYS = 1600.0
PLANS = {"month": (10.0, 30.0), "year": (90.0, 365.0)}  # price, days that a payment covers
TRIAL_DAYS = 14.0
SHARE_CONVERTED = 0.4  # of trials
SHARE_ANNOUNCED = 0.6  # of those who leave, by a cancellation some day before the next payment
SHARE_PAUSED = 0.04  # of payments, for PAUSE_DAYS in the mean
PAUSE_DAYS = 50.0
SHARE_RESUMED = 0.7
SHARE_BACK = 0.15  # of those who cancelled, BACK_DAYS later in the mean
BACK_DAYS = 120.0


@dataclass
class Log:
    """All events of the shop: account, day, kind, plan, price, covered days."""

    rows: list[tuple[str, float, str, str, float | None, float | None]] = field(
        default_factory=list
    )

    def add(self, account: str, day: float, kind: str, plan: str) -> None:
        """An event; a payment has its price and the days that it covers."""
        price, length = PLANS[plan] if kind in ("purchase", "renewal") else (None, None)
        self.rows.append((account, day, kind, plan, 0.0 if kind == "trial" else price, length))

    def table(self) -> pl.DataFrame:
        """The events by time, with the instant as `at`."""
        names = ["account", "day", "kind", "plan", "price", "covers"]
        rows = pl.DataFrame(self.rows, schema=names, orient="row").sort("day", "account")
        at = [FIRST_DAY + timedelta(days=day) for day in rows["day"]]
        return rows.with_columns(pl.Series("at", at))


def simulated_plans(num_accounts: int, seed: int) -> pl.DataFrame:
    """Accounts that come all the time, some by a trial, and stay until they leave, some of them to come back."""
    random = np.random.default_rng(seed)
    log = Log()
    for number in range(num_accounts):
        add_account(log, f"a{number}", random)
    return log.table().filter(pl.col("day") < ALL_DAYS)


def add_account(log: Log, account: str, random: np.random.Generator) -> None:
    plan = str(random.choice(list(PLANS), p=[0.7, 0.3]))
    chance = random.beta(1.0, 9.0) if plan == "month" else random.beta(1.5, 3.5)
    day = random.uniform(0, LOG_DAYS + 60.0)
    if random.random() < 0.5:
        log.add(account, day, "trial", plan)
        if random.random() > SHARE_CONVERTED:
            return
        day += random.uniform(0, TRIAL_DAYS)
    back: float | None = day
    while back is not None and back < ALL_DAYS:
        back = stay(log, account, back, plan, chance, random)


def stay(
    log: Log, account: str, day: float, plan: str, chance: float, random: np.random.Generator
) -> float | None:
    """Payments from a day on until the account leaves; the day on which it comes back, if it does."""
    length = PLANS[plan][1]
    kind = "purchase"
    while day < ALL_DAYS:
        log.add(account, day, kind, plan)
        kind = "renewal"
        if random.random() < chance:
            if random.random() > SHARE_ANNOUNCED:
                return None
            left = day + random.uniform(0, length)
            log.add(account, left, "cancellation", plan)
            return left + random.exponential(BACK_DAYS) if random.random() < SHARE_BACK else None
        if random.random() < SHARE_PAUSED:
            pause = day + random.uniform(0, length)
            log.add(account, pause, "pause", plan)
            if random.random() > SHARE_RESUMED:
                return None
            waited = random.exponential(PAUSE_DAYS)
            log.add(account, pause + waited, "resume", plan)
            day += waited
        day += length
    return None


def write_log(path: Path, events: pl.DataFrame) -> None:
    """What the shop exports on the last day of its log."""
    events.filter(pl.col("day") < LOG_DAYS).drop("day").write_csv(path)
