"""Exports of a bank, as training/configs/bank_ingest.yaml reads them."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np

from tests.integration.recipes.files import Row, write_csv

FIRST_DAY = date(2023, 1, 1)
NUM_DAYS = 640
FEE = 4.9


def write_bank(folder: Path, accounts: list[str], seed: int) -> None:
    """Write ledger.csv and contacts.csv with semicolons and decimal commas; one account in five is on loan."""
    random = np.random.default_rng(seed)
    ledger: list[Row] = []
    contacts: list[Row] = []
    for account in accounts:
        first = 0.0 if random.random() < 0.5 else random.uniform(0, NUM_DAYS)
        last = min(first + random.exponential(900), NUM_DAYS)
        lines = [*cards(first, last, random), *monthly(first, last, random)]
        if last < NUM_DAYS:
            lines.append((last, "account", "closing", random.uniform(0, 500), None))
        for day, product, kind, amount, margin in sorted(lines, key=lambda line: line[0]):
            posting = f"P{len(ledger)}"
            told = (german(amount), german(margin))
            ledger.append((posting, account, on(day), product, kind, *told))
        for day in random.uniform(first, last, random.poisson((last - first) / 200)):
            channel, cost = ("branch", 12.5) if random.random() < 0.4 else ("telephone", 4.0)
            contacts.append((account, f"{on(day)} 09:00", channel, german(cost)))
    header = "posting_id;account_id;booked_on;product;type;amount;margin"
    write_csv(folder / "ledger.csv", header, ledger, ";")
    write_csv(folder / "contacts.csv", "account_id;at;channel;cost", contacts, ";")


Line = tuple[float, str, str, float, float | None]  # day, product, type, amount, margin


def cards(first: float, last: float, random: np.random.Generator) -> list[Line]:
    """Card payments that earn a share, others' cash machines that cost, and transfers that do neither."""
    a_day = random.gamma(0.6, 0.12)
    lines: list[Line] = []
    for day in random.uniform(first, last, random.poisson(a_day * (last - first))):
        amount = -float(np.exp(random.normal(3.3, 0.9)))
        luck = random.random()
        if luck < 0.75:
            lines.append((day, "card", "posting", amount, round(-0.012 * amount, 2)))
        elif luck < 0.85:
            lines.append((day, "cash", "posting", amount, -0.6))
        elif luck < 0.95:
            lines.append((day, "transfer", "posting", amount, 0.0))
        else:
            lines.append((day, "transfer", "internal", amount, None))
    return lines


def monthly(first: float, last: float, random: np.random.Generator) -> list[Line]:
    """Fees, some of which are given back, and the interest of those on loan."""
    pays_fees = random.random() < 0.6
    interest = float(random.gamma(2.0, 15.0)) if random.random() < 0.2 else 0.0
    lines: list[Line] = []
    for day in np.arange(first + 1, last, 30.0):
        if pays_fees:
            lines.append((day, "account", "monthly_fee", FEE, None))
        if pays_fees and random.random() < 0.03:
            lines.append((day + 2, "account", "fee_refund", FEE, None))
        if interest:
            lines.append((day, "loan", "interest", interest, None))
    return lines


def on(day: float) -> str:
    return f"{FIRST_DAY + timedelta(days=int(day)):%d.%m.%Y}"


def german(amount: float | None) -> str:
    """`-1.234,50`; empty for nothing."""
    if amount is None:
        return ""
    return f"{amount:,.2f}".translate(str.maketrans(",.", ".,"))
