"""Invoice lines of a simulated wholesaler, made ready for a benchmark; what is simulated stands in wholesaler.py."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.harness.shop import CONFIGS
from training.ingest.job import ingest
from training.ingest.recipe import IngestConfig
from training.prepare.job import prepare
from training.prepare.recipe import PrepareConfig

FIRST_SEED = 100
NUM_CUSTOMERS = 4500
NUM_DAYS = 738
NUM_ITEMS = 800
FIRST_DAY = datetime(2022, 12, 1)
SHARE_OLD = 0.35
SHARE_GIANT = 0.01
PEAK = 1.6  # of orders in the season, over the rest of the year
# Shares of orders.
CANCELLED = 0.012
PART_SENT_BACK = 0.08
MISTYPED = 0.0015
COLUMNS = ["InvoiceNo", "CustomerID", "InvoiceDate", "StockCode", "Quantity", "UnitPrice"]
Bought = tuple[str, int, float]  # item, quantity, price
Line = tuple[str, int, datetime, str, int, float]  # COLUMNS


def prepare_wholesaler(folder: Path, seed: int) -> dict[str, Path]:
    """A shop simulated with this seed, ingested and prepared below `folder`: the places `data` and `examples`."""
    simulated(seed).write_csv(folder / "lines.csv")
    data = folder / "data"
    examples = folder / "examples"
    recipe = IngestConfig.load(CONFIGS / "invoices_ingest.yaml")
    source = recipe.sources[0].model_copy(update={"path": str(folder / "lines.csv")})
    ingest(recipe.model_copy(update={"sources": (source,), "output": data, "quality_html": False}))
    of_examples = PrepareConfig.load(CONFIGS / "invoices_prepare.yaml")
    prepare(of_examples.model_copy(update={"data": data, "output": examples}))
    return {"data": data, "examples": examples}


def simulated(seed: int) -> pl.DataFrame:
    """Invoice lines by time, with the columns that training/configs/invoices_ingest.yaml expects."""
    random = np.random.default_rng(seed)
    prices = np.exp(random.normal(0.9, 0.8, NUM_ITEMS)).round(2) + 0.1
    popularity = random.zipf(1.6, NUM_ITEMS).astype(float)
    chances = popularity / popularity.sum()
    rows: list[Line] = []
    for customer in range(NUM_CUSTOMERS):
        level = random.normal(5.5, 0.85)
        growth = random.normal(0.0, 0.25)
        first = 0.0 if random.random() < SHARE_OLD else random.uniform(0, NUM_DAYS)
        rate = random.gamma(0.9, 1 / 70)
        life = random.exponential(random.gamma(2.0, 250.0))
        if random.random() < SHARE_GIANT:
            rate = random.uniform(0.05, 0.2)
            life = NUM_DAYS
            level += random.normal(1.0, 0.6)
        for day in order_days(random, first, min(first + life, NUM_DAYS), rate):
            total = np.exp(level + growth * (day - first) / 365 + random.normal(0.0, 0.6))
            bought = basket(random, total, prices, chances)
            at = FIRST_DAY + timedelta(days=day)
            rows += invoice(random, len(rows), customer, at, bought)
    lines = pl.DataFrame(rows, schema=COLUMNS, orient="row")
    lines = lines.sort("InvoiceDate", maintain_order=True)
    written = pl.col("InvoiceDate").dt.strftime("%d/%m/%Y %H:%M")
    known = lines.filter(pl.col("InvoiceDate") < FIRST_DAY + timedelta(days=NUM_DAYS))
    return known.with_columns(written, Description="item " + pl.col("StockCode"))


def order_days(random: np.random.Generator, first: float, last: float, rate: float) -> list[float]:
    """Days of a customer's orders: the first, then a Poisson process that is PEAK times as fast in the season."""
    times = np.sort(random.uniform(first, last, random.poisson(rate * PEAK * (last - first))))
    peak = 1 + (PEAK - 1) * np.exp(-(((times % 365 - 330) / 35) ** 2))
    return [first, *times[random.random(len(times)) < peak / PEAK]]


def basket(
    random: np.random.Generator, total: float, prices: np.ndarray, chances: np.ndarray
) -> list[Bought]:
    """Different items for about `total`."""
    num_items = min(60, random.geometric(0.12))
    items = random.choice(NUM_ITEMS, num_items, p=chances)
    amounts = total * random.dirichlet(np.full(len(items), 0.7))
    return [
        (f"S{item:04d}", max(1, round(amount / prices[item])), prices[item])
        for item, amount in zip(items, amounts, strict=True)
    ]


def invoice(
    random: np.random.Generator, number: int, customer: int, at: datetime, bought: list[Bought]
) -> list[Line]:
    """The lines of an order, and those of its refunds."""
    order = str(100_000 + number)
    luck = random.random()
    hours = random.uniform(0, 480)  # until something comes back
    back: list[Bought] = []
    if luck < MISTYPED:
        item, quantity, price = bought[0]
        mistyped = quantity * int(random.integers(50, 400)) + 500
        back = [(item, mistyped, price)]
        bought = [*bought, *back]
        hours = 0.5
    elif luck < MISTYPED + CANCELLED:
        back = bought
    elif luck < MISTYPED + CANCELLED + PART_SENT_BACK:
        back = [
            (item, max(1, int(quantity * random.uniform(0.1, 1))), price)
            for item, quantity, price in bought[:2]
        ]
    later = at + timedelta(hours=hours)
    taken_back = [(item, -quantity, price) for item, quantity, price in back]
    return [
        *((order, customer, at, *line) for line in bought),
        *((f"C{order}", customer, later, *line) for line in taken_back),
    ]
