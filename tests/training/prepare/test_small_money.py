"""A shop whose amounts are thousandths is prepared as any other."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.events.shards import shard_paths
from lifecycle.features.vocabulary import Vocabulary
from tests.builders import TinyShop
from training.ingest.job import ingest
from training.ingest.recipe import IngestConfig
from training.prepare.dataset import read_dataset
from training.prepare.job import prepare
from training.prepare.recipe import PrepareConfig
from training.prepare.sequences import read_sequences

SMALLER = 1e-3


@pytest.fixture(scope="module")
def small_shop(tiny_shop: TinyShop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Examples of the tiny shop with all its money divided by a thousand."""
    folder = tmp_path_factory.mktemp("small")
    given = pl.concat([pl.read_parquet(path) for path in shard_paths(tiny_shop.data)])
    money = pl.col("amount", "discount", "cost") * SMALLER
    given.with_columns(money).write_parquet(folder / "events.parquet")
    source = {
        "path": str(folder / "events.parquet"),
        "format": "parquet",
        "columns": {name: name for name in given.columns if name != "shop_day"},
    }
    items = {
        "path": str(tiny_shop.data / "items.parquet"),
        "format": "parquet",
        "columns": {"item_id": "item_id", "title": "title", "category": "category"},
    }
    recipe = {"sources": [source], "items": items, "output": str(folder / "data")}
    ingest(IngestConfig.model_validate(recipe))
    changed = [f"data={folder / 'data'}", f"output={folder / 'examples'}"]
    prepare(PrepareConfig.load(tiny_shop.examples / "prepare.yaml", changed))
    return folder / "examples"


def test_prompts_tell_small_amounts_apart(tiny_shop: TinyShop, small_shop: Path) -> None:
    assert read_dataset(tiny_shop.examples).money_unit == 1.0
    assert read_dataset(small_shop).money_unit < 1e-3
    spends = []
    for examples in (tiny_shop.examples, small_shop):
        prompts = pl.read_parquet(examples / "train.parquet")["prompt"]
        spends.append(prompts.str.extract("Spend(.*):").n_unique())
    assert spends[1] > 0.9 * spends[0] > 10


def test_sequences_hold_amounts_in_the_unit(tiny_shop: TinyShop, small_shop: Path) -> None:
    unit = read_dataset(small_shop).money_unit
    large = read_sequences(tiny_shop.examples / "sequences")
    small = read_sequences(small_shop / "sequences")
    assert small.vocabulary.money_unit == unit
    np.testing.assert_allclose(small.known.amount * unit, large.known.amount * SMALLER, rtol=1e-6)


def test_unit_is_kept_with_the_vocabulary(tmp_path: Path) -> None:
    table = pl.DataFrame({"item_id": ["a"]})
    Vocabulary(table, 1e-5).save(tmp_path)
    assert Vocabulary.load(tmp_path).money_unit == 1e-5
    table.write_parquet(tmp_path / "vocabulary.parquet")
    assert Vocabulary.load(tmp_path).money_unit == 1.0, "of before there was a unit"
