"""A shop whose customers buy three times as much in December as in June, and one that knows no season."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.events.history import customers_at, outcomes
from lifecycle.events.shards import read_shard, shard_paths
from lifecycle.features.categories import NO_CATEGORIES
from lifecycle.features.numbers import value_features
from training.ingest.job import ingest
from training.ingest.recipe import IngestConfig

FIRST_DAY = datetime(2022, 1, 1)
CUTOFF = datetime(2023, 10, 1, tzinfo=UTC)
NUM_DAYS = 730
BEGIN = -638  # day of FIRST_DAY from CUTOFF
HORIZON = 90
Intensity = Callable[[np.ndarray], np.ndarray]  # of buying, by day


@dataclass(frozen=True)
class Shop:
    """An ingest folder, its events, and all customers as they are known at CUTOFF."""

    data: Path
    events: pl.DataFrame
    known: pl.DataFrame

    @property
    def actual(self) -> float:
        """What the known customers spent over HORIZON."""
        return float(outcomes(self.events, self.known, HORIZON)["target"].sum())


def seasonal(day: np.ndarray) -> np.ndarray:
    """Three times as much on 15 December as half a year later."""
    return np.exp(np.log(3) / 2 * np.cos(2 * np.pi * (day - 348) / 365))


def shop_of(intensity: Intensity, folder: Path, num_customers: int = 1500) -> Shop:
    """Customers come over 300 days, differ in rate and leave after a year and a half on average."""
    random = np.random.default_rng(0)
    first = random.uniform(0, 300, num_customers)
    last = np.minimum(first + random.exponential(540, num_customers), NUM_DAYS)
    rate = random.gamma(2.0, 1 / 50, num_customers)
    most = intensity(np.arange(NUM_DAYS)).max()
    orders = random.poisson(rate * most * (last - first))
    customer = np.repeat(np.arange(num_customers), orders)
    day = first[customer] + random.uniform(size=len(customer)) * (last - first)[customer]
    kept = random.uniform(size=len(day)) < intensity(day) / most
    customers = np.concatenate([np.arange(num_customers), customer[kept]])
    days = np.concatenate([first, day[kept]])
    amounts = random.lognormal(3.0, 0.5, len(days)).round(2)
    lines = pl.DataFrame({"customer": customers, "amount": amounts}).with_columns(
        at=pl.Series([FIRST_DAY + timedelta(days=float(when)) for when in days])
    )
    lines.write_parquet(folder / "lines.parquet")
    columns = {"customer_id": "customer", "occurred_at": "at", "amount": "amount"}
    source = {"path": str(folder / "lines.parquet"), "format": "parquet", "columns": columns}
    recipe = {"sources": [source], "output": folder / "data", "quality_html": False}
    ingest(IngestConfig.model_validate(recipe))
    events = pl.concat([read_shard(path) for path in shard_paths(folder / "data")])
    return Shop(folder / "data", events, known_customers(events, CUTOFF))


def known_customers(events: pl.DataFrame, cutoff: datetime) -> pl.DataFrame:
    """What BTYD reads of all customers known at a cutoff, by way of the features."""
    return value_features(events, customers_at(events, cutoff), HORIZON, NO_CATEGORIES)


@pytest.fixture(scope="package")
def seasonal_shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return shop_of(seasonal, tmp_path_factory.mktemp("seasonal"))


@pytest.fixture(scope="package")
def even_shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return shop_of(lambda day: np.ones(day.shape), tmp_path_factory.mktemp("even"))
