"""Recipes of ingest and their sources, as its tests write them."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lifecycle.events.schema import EVENT_SCHEMA, is_purchase
from lifecycle.events.shards import shard_paths
from lifecycle.folders import verify
from tests.builders import TinyShop
from training.ingest.job import ingest
from training.ingest.recipe import IngestConfig
from training.ingest.sources import Source
from training.ingest.tables.batches import ParsedRows, read_batches
from training.ingest.tables.lookups import read_lookup

LOG = {"customer_id": "c", "occurred_at": "t", "item_id": "i", "amount": "a"}


def ingest_in_euros(shop: TinyShop, output: Path) -> None:
    """The shop's tables again, as if they were in another currency: other data."""
    ingest(IngestConfig.load(shop.data / "ingest.yaml", ["currency=EUR", f"output={output}"]))


def run(config: IngestConfig) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Events of an ingest, sorted as in its shards, and its quality.json, whose rows must balance."""
    ingest(config)
    verify(config.output, "data")
    report = json.loads((config.output / "quality.json").read_text())
    assert report["rows_kept"] + sum(report["rows_dropped"].values()) == report["num_rows_read"]
    assert sum(report["rows_read"].values()) == report["num_rows_read"]
    check_account(report["account"])
    shards = [pl.read_parquet(path) for path in shard_paths(config.output)]
    for shard in shards:
        assert shard.equals(shard.sort("customer_id", "occurred_at", maintain_order=True))
    events = pl.concat(shards)
    assert events.schema == EVENT_SCHEMA
    assert events["event_id"].is_unique().all()
    assert not (events.filter(pl.col("kind") == "refund")["amount"] > 0).any()
    kept = report["account"]["kept"]
    is_refund = pl.col("kind") == "refund"
    assert kept["purchases"] == pytest.approx(events.filter(is_purchase())["amount"].sum())
    assert kept["refunds"] == pytest.approx(events.filter(is_refund)["amount"].sum())
    return events.sort("customer_id", "occurred_at", maintain_order=True), report


def check_account(account: dict[str, Any]) -> None:
    """What was read is kept or left out for a reason: rows, purchases and refunds."""
    parts = [account["kept"], *account["dropped"].values()]
    for name in ("rows", "purchases", "refunds"):
        told = math.fsum(part[name] for part in parts)
        assert told == pytest.approx(account["read"][name], rel=1e-9, abs=1e-9)


def recipe(output: Path, *sources: Mapping[str, object], **others: object) -> IngestConfig:
    tree = {"sources": list(sources), "output": str(output), "quality_html": False, "num_shards": 3}
    return IngestConfig.model_validate(tree | others)


def log(path: Path, *lines: str, **changes: object) -> dict[str, object]:
    """A source of lines `customer,time,item,amount`."""
    path.write_text("\n".join(["c,t,i,a", *lines]) + "\n")
    return {"path": str(path), "columns": LOG, **changes}


BASE = {"customer_id": "c", "occurred_at": "t", "amount": "p"}
Read = Callable[..., pl.DataFrame]


def rows_of(source: Source) -> pl.DataFrame:
    return pl.concat([batch.rows for batch in batches_of(source)])


def batches_of(source: Source) -> list[ParsedRows]:
    return list(read_batches(source, read_lookup(source)))


def amount(sql: str) -> dict[str, object]:
    """A change of the recipe: the amount by an expression."""
    return {"columns": BASE | {"amount": {"sql": sql}}}
