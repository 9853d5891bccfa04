"""Everybody that the tiny artifact may be asked about."""

import polars as pl
import pytest

from lifecycle.events.shards import read_shard, shard_paths
from serving.predict.queries import CustomerQuery
from tests.builders import TinyShop


@pytest.fixture(scope="session")
def queries(tiny_shop: TinyShop) -> list[CustomerQuery]:
    """Every customer of the tiny shop who has bought before the test cutoff."""
    events = pl.concat([read_shard(path) for path in shard_paths(tiny_shop.data)])
    known = pl.read_parquet(tiny_shop.examples / "test.parquet")["customer_id"].to_list()
    by_customer = events.partition_by("customer_id", as_dict=True)
    return [CustomerQuery(name, by_customer[(name,)], {}) for name in known]
