"""Ingest recipes of shops that benchmarks judge on: simulated ones, draws of public ones, tables of a data folder."""

import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from benchmarks.harness.shop import CONFIGS
from benchmarks.harness.shops.simulated import simulated
from training.ingest.recipe import IngestConfig

DATA = "EVERVALUE_DATA"


@dataclass(frozen=True)
class Shop:
    """A shop and the window that models are judged in."""

    name: str
    horizon_days: int = 90
    test_cutoff: date | None = None  # None: the latest

    def recipe(self, folder: Path) -> IngestConfig:
        """Of its tables, which are written below `folder` where they are simulated."""
        if self.simulation is not None:
            return _of_simulation(folder, *self.simulation)
        source, _, which = self.name.partition("-")
        if source in DRAWS:
            return _of_draw(source, int(which))
        return _of_table(source)

    @property
    def simulation(self) -> tuple[str, int] | None:
        """Kind and seed of a simulated shop."""
        source, _, which = self.name.partition("-")
        kind, _, seed = which.rpartition("-")
        return (kind, int(seed)) if source == "simulated" else None


# Of every so many customers one is drawn, by its number.
DRAWS = {"journey": ("household_id", 2), "cdnow": ("CAST(customer_id AS INT)", 6)}


def _of_simulation(folder: Path, kind: str, seed: int) -> IngestConfig:
    simulated(kind, seed).write_parquet(folder / "events.parquet")
    columns = {
        "customer_id": "customer",
        "occurred_at": "at",
        "kind": {"sql": "kind"},
        "order_id": "order",
        "item_id": "item",
        "amount": "amount",
    }
    return _recipe(
        {"path": str(folder / "events.parquet"), "format": "parquet", "columns": columns}
    )


def _of_draw(shop: str, number: int) -> IngestConfig:
    recipe = IngestConfig.load(CONFIGS / f"{shop}_ingest.yaml")
    customer, parts = DRAWS[shop]
    drawn = {"filter": {"sql": f"{customer} % {parts} = {number}"}}
    sources = [source.model_dump() | drawn for source in recipe.sources]
    return _recipe(*sources)


def _of_table(name: str) -> IngestConfig:
    folder = os.environ.get(DATA)
    if folder is None:
        raise ValueError(f"{name}: say {DATA}, the folder that holds {name}/")
    if name == "grocery":
        columns: dict[str, object] = {
            "customer_id": "cust",
            "occurred_at": "date",
            "amount": {"sql": "1"},
        }
        return _recipe(
            {"path": f"{folder}/grocery/orders.parquet", "format": "parquet", "columns": columns}
        )
    columns = {
        "customer_id": "customer_id",
        "occurred_at": "ordered_on",
        "order_id": "order_id",
        "item_id": "item_id",
        "title": "title",
        "category": "category",
        "quantity": "quantity",
        "amount": "sales",
        "cost": {"sql": "sales - profit"},
    }
    return _recipe(
        {"path": f"{folder}/superstore/lines.parquet", "format": "parquet", "columns": columns}
    )


def _recipe(*sources: dict[str, object]) -> IngestConfig:
    tree = {"sources": list(sources), "quality_html": False, "output": "data"}
    return IngestConfig.model_validate(tree)
