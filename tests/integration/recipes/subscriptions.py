"""Exports of a subscription business, as training/configs/subscriptions_ingest.yaml reads them."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from tests.integration.recipes.files import Row, write_csv

FIRST_DAY = datetime(2023, 1, 1)
NUM_DAYS = 640
PLANS = {
    "basic": (9.9, 30),
    "pro": (29.9, 30),
    "team": (290.0, 365),
}  # price, days until the next payment
PLAN_SHARES = (0.6, 0.3, 0.1)


@dataclass
class Exports:
    """Rows of the two logs, by account and time."""

    log: list[Row] = field(default_factory=list)  # account, at, type, plan, price, discount
    contacts: list[Row] = field(default_factory=list)  # account, opened_at, minutes, subject


def write_subscriptions(folder: Path, accounts: list[str], seed: int) -> None:
    """Write log.csv, contacts.csv and plans.csv; who needs much help leaves sooner."""
    random = np.random.default_rng(seed)
    exports = Exports()
    for account in accounts:
        add_account(exports, account, random)
    plans = [(plan, f"{plan} plan", "plans", price) for plan, (price, _) in PLANS.items()]
    write_csv(folder / "log.csv", "account,at,type,plan,price,discount", exports.log)
    write_csv(folder / "contacts.csv", "account,opened_at,minutes,subject", exports.contacts)
    write_csv(folder / "plans.csv", "plan,name,family,monthly_price", plans)


def add_account(exports: Exports, account: str, random: np.random.Generator) -> None:
    """One account from its first day until it cancels or the exports end."""
    day = random.uniform(0, NUM_DAYS)
    plan = str(random.choice(list(PLANS), p=PLAN_SHARES))
    price, period_days = PLANS[plan]
    trouble = random.gamma(0.5, 1.0)  # contacts a month
    leaving = min(0.9, random.beta(1.2, 12.0) + 0.05 * trouble)  # at each payment
    if random.random() < 0.4:
        add_row(exports, account, day - 14, "trial", plan, 0.0)
    add_row(exports, account, day, "start", plan, 0.8 * price, 0.2 * price)
    while day < NUM_DAYS:
        add_contacts(exports, account, day, min(period_days, NUM_DAYS - day), trouble, random)
        if random.random() < leaving:
            add_row(exports, account, day + period_days / 2, "cancel", plan)
            return
        day += period_days
        add_row(exports, account, day, "renewal", plan, price)
        if random.random() < 0.02:
            add_row(exports, account, day + 3, "refund", plan, price)


def add_row(
    exports: Exports,
    account: str,
    day: float,
    kind: str,
    plan: str,
    price: float | None = None,
    discount: float = 0.0,
) -> None:
    """A row of the log, if the day is past when it is exported; cells without a number are empty."""
    if day < NUM_DAYS:
        paid = "" if price is None else round(price, 2)
        exports.log.append((account, instant(day), kind, plan, paid, round(discount, 2) or ""))


def add_contacts(
    exports: Exports,
    account: str,
    day: float,
    days: float,
    trouble: float,
    random: np.random.Generator,
) -> None:
    """Contacts between two payments."""
    for at in np.sort(random.uniform(day, day + days, random.poisson(trouble * days / 30))):
        minutes = int(random.integers(3, 40))
        exports.contacts.append((account, instant(at), minutes, "it does not work"))


def instant(day: float) -> str:
    """ISO 8601 with the offset of a shop in Berlin in winter."""
    return f"{FIRST_DAY + timedelta(days=day):%Y-%m-%dT%H:%M:%S}+01:00"
