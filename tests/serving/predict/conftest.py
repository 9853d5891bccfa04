"""Everybody that the tiny artifact may be asked about."""

from dataclasses import replace

import polars as pl
import pytest

from lifecycle.artifact.contents import Artifact
from lifecycle.events.shards import read_shard, shard_paths
from lifecycle.recommend.rankers import Rankers
from lifecycle.recommend.scorers.decayed import DecayedFrequency
from serving.predict.predictor import Predictor
from serving.predict.queries import CustomerQuery
from tests.builders import TinyShop
from tests.serving.predict.builders import DECAYED


@pytest.fixture(scope="session")
def queries(tiny_shop: TinyShop) -> list[CustomerQuery]:
    """Every customer of the tiny shop who has bought before the test cutoff."""
    events = pl.concat([read_shard(path) for path in shard_paths(tiny_shop.data)])
    known = pl.read_parquet(tiny_shop.examples / "test.parquet")["customer_id"].to_list()
    by_customer = events.partition_by("customer_id", as_dict=True)
    return [CustomerQuery(name, by_customer[(name,)], {}) for name in known]


@pytest.fixture
def artifact(predictor: Predictor) -> Artifact:
    """The tiny artifact, with a ranker of histories beside those that need no fit."""
    found = predictor.artifact
    assert found.retriever is not None
    return replace(found, rankers=Rankers(found.retriever, {DECAYED: DecayedFrequency(90.0)}))
