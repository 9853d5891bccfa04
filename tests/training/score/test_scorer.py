"""Where a shop is scored: in this process, unless Ray's workers save more time than they take to start."""

from pathlib import Path

import polars as pl
import pytest
import ray

from lifecycle.events.shards import DataManifest, read_data_manifest
from tests.builders import TinyShop
from training.score.job import score
from training.score.recipe import ScoreConfig
from training.score.scorer import START_SECONDS, seconds_here


@pytest.mark.parametrize(
    ("num_customers", "num_events", "is_small", "is_small_explained"),
    [
        # A wholesaler of two years, the Journey, a shop of a million customers, one of long histories,
        # one whose explanations take longer than all else.
        (5_875, 1_050_000, True, True),
        (2_469, 1_477_998, True, True),
        (1_000_000, 2_353_934, False, False),
        (10_000, 50_000_000, False, False),
        (50_000, 500_000, True, False),
    ],
)
def test_shops_are_small_by_customers_and_events(
    tiny_shop: TinyShop,
    num_customers: int,
    num_events: int,
    is_small: bool,
    is_small_explained: bool,
) -> None:
    size = {"num_customers": num_customers, "num_events": num_events}
    data: DataManifest = read_data_manifest(tiny_shop.data).model_copy(update=size)
    assert (seconds_here(data) < START_SECONDS) == is_small
    assert (seconds_here(data, is_explained=True) < START_SECONDS) == is_small_explained


def test_small_shop_is_scored_without_a_cluster(
    tiny_shop: TinyShop, tiny_artifact: Path, tmp_path: Path
) -> None:
    assert not ray.is_initialized()
    recipe = ScoreConfig(
        data=tiny_shop.data, artifact=tiny_artifact, num_workers=2, output=tmp_path / "scores"
    )
    score(recipe)
    assert not ray.is_initialized()
    known = read_data_manifest(tiny_shop.data).num_customers
    assert pl.read_parquet(recipe.output / "scores.parquet").height == known
