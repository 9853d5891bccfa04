"""Small things that tests build: shops, events, customers, conversations, recipes."""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import numpy as np
import polars as pl

from lifecycle.btyd.beta_geometric import BetaGeometricNbd
from lifecycle.btyd.gamma_gamma import GammaGamma
from lifecycle.btyd.likelihood import FitReport
from lifecycle.btyd.model import Btyd
from lifecycle.events.schema import EVENT_SCHEMA
from lifecycle.features.numbers import FEATURES
from lifecycle.folders import MANIFEST
from lifecycle.llama.member import DecoderSettings
from lifecycle.spend.model import Past
from training.tasks.conversations import Message
from training.tasks.recipes.union import TrainConfig, parse_recipe

REPOSITORY = Path(__file__).parents[1]
NUM_CUSTOMERS = 300
NUM_ITEMS = 40
FIRST_DAY = datetime(2024, 1, 1, tzinfo=UTC)
NUM_DAYS = 364
CUTOFF = datetime(2024, 3, 1, tzinfo=UTC)
NO_DATA = Path("none")  # of shops too young for a season, whose events are not read for one
REPORT = FitReport(0.0, True, "converged", 20, 2, 0.0, 0.0, {})  # of a fit that nobody made
Columns = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
ITEMS = pl.DataFrame({"item_id": ["i"], "title": ["Green tea"], "category": ["Tea"]})
CATEGORIES = ("coffee", "tea", "bread", "soap")
CHAT_TEMPLATE = (
    "{% for message in messages %}<s>{{ message['role'] }}\n{{ message['content'] }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)
BTYD = Btyd(
    BetaGeometricNbd(r=0.8, alpha=20.0, a=0.6, b=2.5, first_chances=0, report=REPORT),
    GammaGamma(p=6.0, q=4.0, v=15.0, report=REPORT),
    typical=((2.0, 60.0, 100.0, 30.0),),
)
# Keys of a value model in metrics.json, written by hand: a contract.
VALUE_METRICS = {
    "mae",
    "rmse",
    "r2",
    "spearman",
    "gini",
    "decile_mape",
    "top_decile_share",
    "bias",
    "coverage_80",
    "coverage_95",
    "customers_per_second",
    "ci",
}


@dataclass(frozen=True)
class TinyShop:
    """Folders of the synthetic shop: its two source files, what ingest made of them, and its examples."""

    lines: Path
    items: Path
    data: Path
    examples: Path


def write_shop(lines: Path, items: Path) -> None:
    """The two CSV files of the shop. Customers buy from a favourite category at their own rate; some lines return."""
    generator = np.random.default_rng(0)
    prices = generator.uniform(2, 30, NUM_ITEMS).round(2)
    pl.DataFrame(
        {
            "item": [f"i{number}" for number in range(NUM_ITEMS)],
            "title": [f"{CATEGORIES[number % 4]} no. {number}" for number in range(NUM_ITEMS)],
            "category": [CATEGORIES[number % 4] for number in range(NUM_ITEMS)],
            "price": prices,
        }
    ).write_csv(items)
    rows: list[tuple[str, str, str, str, int, float]] = []
    for customer in range(NUM_CUSTOMERS):
        gap_days, favourite = generator.gamma(2.0, 15.0) + 2.0, int(generator.integers(4))
        day = generator.uniform(0, 120)
        while day < NUM_DAYS and (not rows or generator.uniform() > 0.04):
            at, order = FIRST_DAY + timedelta(days=day), f"o{len(rows)}"
            for _ in range(1 + generator.poisson(1.0)):
                item = 4 * int(generator.integers(NUM_ITEMS // 4)) + (
                    favourite if generator.uniform() < 0.8 else int(generator.integers(4))
                )
                quantity = int(1 + generator.poisson(0.5))
                sign = -1 if generator.uniform() < 0.02 else 1
                amount = round(sign * quantity * float(prices[item]), 2)
                rows.append(
                    (
                        f"c{customer}",
                        f"{at:%Y-%m-%dT%H:%M:%S}",
                        order,
                        f"i{item}",
                        sign * quantity,
                        amount,
                    )
                )
            day += generator.exponential(gap_days)
    columns = ["customer", "at", "order", "item", "quantity", "amount"]
    pl.DataFrame(rows, schema=columns, orient="row").write_csv(lines)


def make_events(rows: list[dict[str, object]]) -> pl.DataFrame:
    """Events from partial rows; days count from the cutoff."""
    filled = [
        {name: None for name in EVENT_SCHEMA}
        | {"event_id": str(number), "customer_id": "a", "kind": "purchase", "amount": 1.0}
        | {key: value for key, value in row.items() if key != "day"}
        | {"occurred_at": CUTOFF + timedelta(days=float(str(row["day"])))}
        for number, row in enumerate(rows)
    ]
    return pl.DataFrame(filled, schema=EVENT_SCHEMA)


def item_lines(start: datetime, *rows: tuple[str, float, str | None, str]) -> pl.DataFrame:
    """Lines of items from (customer, days after `start`, order, item), as rankers read them."""
    return pl.DataFrame(
        [
            (customer, start + timedelta(days=days), order, item)
            for customer, days, order, item in rows
        ],
        schema={
            "customer_id": pl.String,
            "occurred_at": pl.Datetime("us", "UTC"),
            "order_id": pl.String,
            "item_id": pl.String,
        },
        orient="row",
    ).with_columns(shop_day=pl.lit(None, pl.Date))


def cutoffs(*customers: str) -> pl.DataFrame:
    return pl.DataFrame({"customer_id": customers, "cutoff": [CUTOFF] * len(customers)}).cast(
        {"cutoff": pl.Datetime("us", "UTC")}
    )


def customer(**values: float) -> pl.DataFrame:
    """One row of features: two repeat order days, the last 40 days after the first, seen for 100 days, unless said."""
    row = dict.fromkeys(FEATURES, 0.0) | {
        "btyd_frequency": 2.0,
        "btyd_recency": 40.0,
        "btyd_age": 100.0,
        "num_order_days": 3.0,
        "total_spend": 90.0,
    }
    return pl.DataFrame([row | values])


def decoder(base_model: Path, num_layers: int | None = None) -> DecoderSettings:
    """How tests read a base model: eager attention, prompts of any sensible length."""
    return DecoderSettings(base_model, num_layers, "eager", 320)


def value_recipe(**changes: object) -> TrainConfig:
    """A recipe whose files need not exist."""
    fields = {"data": "d", "examples": "e", "base_model": "b", "output": "o", "num_workers": 2}
    return parse_recipe(fields | changes)


def turns(*contents: str) -> list[Message]:
    """A conversation in which user and assistant take turns."""
    return [
        {"role": ("user", "assistant")[n % 2], "content": content}
        for n, content in enumerate(contents)
    ]


def write_conversations(path: Path, *conversations: list[Message]) -> Path:
    """A JSON-lines file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "".join(json.dumps({"messages": messages}) + "\n" for messages in conversations)
    )
    return path


def rewrite_manifest(folder: Path, **changes: object) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | changes))


@contextmanager
def kept_process_state() -> Iterator[None]:
    """A training run inside this process sets environment variables and logging; puts both back."""
    handlers, level = logging.root.handlers[:], logging.root.level
    with mock.patch.dict(os.environ):
        os.environ.pop("RAY_ADDRESS", None)
        yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def past(train: pl.DataFrame, known: pl.DataFrame | None = None) -> Past:
    """What models of spend are fitted to: these rows of earlier cutoffs, and customers known at the latest."""
    return Past(train, train if known is None else known, 60, None)
