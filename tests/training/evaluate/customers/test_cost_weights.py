"""How much customers' own costs count, in shops whose customers differ in them and in one where chance differs."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from lifecycle.events.history import customers_at, outcomes
from lifecycle.events.shards import read_shard, shard_paths
from lifecycle.features.categories import placed_items
from lifecycle.features.numbers import value_features
from lifecycle.value.costs import CostDefaults, customer_rates, fit_cost_rates
from tests.builders import ITEMS
from training.evaluate.customers.cost_weights import WEIGHTS, with_weights
from training.evaluate.value.windows import ExampleSets
from training.ingest.job import ingest
from training.ingest.recipe import IngestConfig

CUTOFF = datetime(2024, 7, 1, tzinfo=UTC)
HORIZON = 90
NUM_CUSTOMERS = 300
NUM_ORDERS = 10  # of each, over 270 days


def shop_of(own: float, chance: float, folder: Path) -> tuple[Path, ExampleSets]:
    """Goods cost half of what is paid for them, give or take `own` by customer and `chance` by order."""
    random = np.random.default_rng(0)
    customer = np.repeat(np.arange(NUM_CUSTOMERS), NUM_ORDERS)
    amount = random.uniform(10, 100, customer.size)
    by_customer = random.uniform(-own, own, NUM_CUSTOMERS)[customer]
    rate = 0.5 + by_customer + random.uniform(-chance, chance, customer.size)
    first = CUTOFF.replace(tzinfo=None) - timedelta(days=180)
    days = random.uniform(0, 270, customer.size)
    lines = pl.DataFrame(
        {
            "customer": customer,
            "at": [first + timedelta(days=float(day)) for day in days],
            "amount": amount.round(2),
            "cost": (rate * amount).round(2),
        }
    )
    lines.write_parquet(folder / "lines.parquet")
    columns = {
        "customer_id": "customer",
        "occurred_at": "at",
        "amount": "amount",
        "cost": "cost",
    }
    source = {"path": str(folder / "lines.parquet"), "format": "parquet", "columns": columns}
    recipe = {"sources": [source], "output": folder / "data", "quality_html": False}
    ingest(IngestConfig.model_validate(recipe))
    events = pl.concat([read_shard(path) for path in shard_paths(folder / "data")])
    keys = customers_at(events, CUTOFF)
    features = value_features(events, keys, HORIZON, placed_items(ITEMS, ()))
    target = outcomes(events, keys, HORIZON).select("target")
    rows = pl.concat([features, target], how="horizontal")
    return folder / "data", ExampleSets(rows.clear(), rows.clear(), rows, HORIZON)


def test_customers_who_differ_count_by_their_own_costs(tmp_path: Path) -> None:
    data, backtest = shop_of(own=0.4, chance=0.05, folder=tmp_path)
    costs = with_weights(fit_cost_rates(backtest.test, CostDefaults()), backtest, data)
    assert costs.goods.weight == max(WEIGHTS)
    assert customer_rates(backtest.test, costs)["goods"].std() > 0.7 * 0.8 / 12**0.5


def test_customers_whom_chance_tells_apart_share_the_rate_of_the_shop(tmp_path: Path) -> None:
    data, backtest = shop_of(own=0.0, chance=0.45, folder=tmp_path)
    before = fit_cost_rates(backtest.test, CostDefaults())
    costs = with_weights(before, backtest, data)
    assert costs.goods.weight <= 1 / 16
    assert customer_rates(backtest.test, costs)["goods"].std() < 0.02
    assert customer_rates(backtest.test, before)["goods"].std() > 0.05


def test_weight_stays_where_nothing_tells_another(tmp_path: Path) -> None:
    data, backtest = shop_of(own=0.0, chance=0.45, folder=tmp_path)
    before = fit_cost_rates(backtest.test, CostDefaults())
    assert with_weights(before, None, data) == before
    costs = with_weights(before, backtest, data)
    assert costs.refunds == before.refunds and costs.service == before.service
