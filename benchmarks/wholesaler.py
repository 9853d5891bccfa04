"""Value models on invoice lines of wholesalers: `python -m benchmarks.wholesaler [--shops 8]`.

No package carries such data, so they are simulated: orders at rates that differ between customers,
who leave one by one and grow or shrink; amounts with heavy tails, a hundredth of the customers
giants; a season before Christmas; orders cancelled, lines sent back in part, and quantities
mistyped and cancelled within the hour. Every shop goes through the recipes of training/configs as
they are, from CSV to arena. By model there are the means of its metrics over the shops, and the
geometric means of its RMSE and MAE over those of BG/NBD.
"""

import argparse
import json
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.harness.evidence import write_evidence
from benchmarks.harness.shop import CONFIGS
from lifecycle.jobs import start_logging
from lifecycle.names import BGNBD
from training.evaluate.job import evaluate
from training.evaluate.recipe import EvaluateConfig
from training.ingest.job import ingest
from training.ingest.recipe import IngestConfig
from training.prepare.job import prepare
from training.prepare.recipe import PrepareConfig

FIRST_SEED = 100
NUM_CUSTOMERS, NUM_DAYS, NUM_ITEMS = 4500, 738, 800
FIRST_DAY = datetime(2022, 12, 1)
SHARE_OLD, SHARE_GIANT = 0.35, 0.01
PEAK = 1.6  # of orders in the season, over the rest of the year
CANCELLED, PART_SENT_BACK, MISTYPED = 0.012, 0.08, 0.0015  # shares of orders
METRICS = ("mae", "rmse", "gini", "decile_mape", "bias", "coverage_80", "coverage_95")


def main() -> None:
    """Measure, print, write the evidence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shops", type=int, default=8)
    seeds = range(FIRST_SEED, FIRST_SEED + parser.parse_args().shops)
    start_logging()
    found = []
    for seed in seeds:
        with tempfile.TemporaryDirectory(prefix="evervalue-benchmark-") as name:
            found.append(judged(Path(name), seed))
        print(seed, found[-1], flush=True)
    shops: list[dict[str, dict[str, float]]] = [models for _, models in found]
    numbers: dict[str, object] = {"champions": [champion for champion, _ in found]}
    for model in shops[0]:
        means = {
            metric: float(np.mean([shop[model][metric] for shop in shops])) for metric in METRICS
        }
        for metric in ("rmse", "mae"):
            ratios = [shop[model][metric] / shop[BGNBD][metric] for shop in shops]
            means[f"{metric}_over_bgnbd"] = float(np.exp(np.mean(np.log(ratios))))
        numbers[model] = means
    write_evidence("wholesaler", numbers, seeds=seeds, data=[])


def prepare_wholesaler(folder: Path, seed: int) -> dict[str, Path]:
    """A shop simulated with this seed, ingested and prepared below `folder`: the places `data` and `examples`."""
    simulated(seed).write_csv(folder / "lines.csv")
    data, examples = folder / "data", folder / "examples"
    recipe = IngestConfig.load(CONFIGS / "invoices_ingest.yaml")
    source = recipe.sources[0].model_copy(update={"path": str(folder / "lines.csv")})
    ingest(recipe.model_copy(update={"sources": (source,), "output": data, "quality_html": False}))
    of_examples = PrepareConfig.load(CONFIGS / "invoices_prepare.yaml")
    prepare(of_examples.model_copy(update={"data": data, "output": examples}))
    return {"data": data, "examples": examples}


def judged(folder: Path, seed: int) -> tuple[str, dict[str, dict[str, float]]]:
    """The champion's name, and metrics by model, `champion` among them."""
    places = prepare_wholesaler(folder, seed)
    arena = EvaluateConfig.load(CONFIGS / "invoices_evaluate.yaml")
    evaluate(arena.model_copy(update={**places, "output": folder / "arena", "members": {}}))
    metrics = json.loads((folder / "arena" / "metrics.json").read_text())
    rows = metrics["models"] | {"champion": metrics["models"][metrics["champion"]]}
    return metrics["champion"], {
        model: {name: row[name] for name in METRICS} for model, row in rows.items()
    }


def simulated(seed: int) -> pl.DataFrame:
    """Invoice lines by time, with the columns that training/configs/invoices_ingest.yaml expects."""
    random = np.random.default_rng(seed)
    prices = np.exp(random.normal(0.9, 0.8, NUM_ITEMS)).round(2) + 0.1
    popularity = random.zipf(1.6, NUM_ITEMS).astype(float)
    rows: list[tuple[object, ...]] = []
    for customer in range(NUM_CUSTOMERS):
        level, growth = random.normal(5.5, 0.85), random.normal(0.0, 0.25)
        first = 0.0 if random.random() < SHARE_OLD else random.uniform(0, NUM_DAYS)
        rate, life = random.gamma(0.9, 1 / 70), random.exponential(random.gamma(2.0, 250.0))
        if random.random() < SHARE_GIANT:
            rate, life, level = random.uniform(0.05, 0.2), NUM_DAYS, level + random.normal(1.0, 0.6)
        for day in order_days(random, first, min(first + life, NUM_DAYS), rate):
            total = np.exp(level + growth * (day - first) / 365 + random.normal(0.0, 0.6))
            items = random.choice(
                NUM_ITEMS, min(60, random.geometric(0.12)), p=popularity / popularity.sum()
            )
            amounts = total * random.dirichlet(np.full(len(items), 0.7))
            bought = [
                (f"S{item:04d}", max(1, round(amount / prices[item])), prices[item])
                for item, amount in zip(items, amounts, strict=True)
            ]
            rows += invoice(random, len(rows), customer, FIRST_DAY + timedelta(days=day), bought)
    names = ["InvoiceNo", "CustomerID", "InvoiceDate", "StockCode", "Quantity", "UnitPrice"]
    lines = pl.DataFrame(rows, schema=names, orient="row").sort("InvoiceDate", maintain_order=True)
    written = pl.col("InvoiceDate").dt.strftime("%d/%m/%Y %H:%M")
    known = lines.filter(pl.col("InvoiceDate") < FIRST_DAY + timedelta(days=NUM_DAYS))
    return known.with_columns(written, Description="item " + pl.col("StockCode"))


def order_days(random: np.random.Generator, first: float, last: float, rate: float) -> list[float]:
    """Days of a customer's orders: the first, then a Poisson process that is PEAK times as fast in the season."""
    times = np.sort(random.uniform(first, last, random.poisson(rate * PEAK * (last - first))))
    peak = 1 + (PEAK - 1) * np.exp(-(((times % 365 - 330) / 35) ** 2))
    return [first, *times[random.random(len(times)) < peak / PEAK]]


def invoice(
    random: np.random.Generator,
    number: int,
    customer: int,
    at: datetime,
    bought: list[tuple[str, int, float]],
) -> list[tuple[object, ...]]:
    """The lines of an order, and those of its refunds; `bought` has item, quantity and price."""
    order, luck, back = str(100_000 + number), random.random(), []
    hours = random.uniform(0, 480)
    if luck < MISTYPED:
        item, quantity, price = bought[0]
        bought = [*bought, (item, quantity * int(random.integers(50, 400)) + 500, price)]
        back, hours = bought[-1:], 0.5
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


if __name__ == "__main__":
    main()
