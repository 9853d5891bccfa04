"""The champion in memory: which encoders it loads, and that these decide what it expects."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.artifact.champion import Champion, load_champion
from lifecycle.artifact.files import load_artifact
from lifecycle.events.shards import read_shard, shard_paths
from tests.builders import TinyShop


def test_champion_without_encoders_says_what_its_model_says(
    tiny_artifact: Path, tiny_shop: TinyShop
) -> None:
    artifact = load_artifact(tiny_artifact)
    champion = load_champion(artifact, {})
    assert champion.members == {}
    buyers = pl.read_parquet(tiny_shop.examples / "test.parquet")
    events = pl.concat([read_shard(path) for path in shard_paths(tiny_shop.data)])
    judged = pl.read_parquet(tiny_artifact.parent / "predictions.parquet")
    by_hand = judged.filter(pl.col("model") == artifact.settings.champion)["predicted"]
    np.testing.assert_array_equal(champion.spend(buyers, events), by_hand.to_numpy())


def test_encoder_that_is_the_champion_is_asked_with_examples_and_events(
    tiny_artifact: Path, tiny_shop: TinyShop
) -> None:
    artifact = load_artifact(tiny_artifact)
    settings = replace(artifact.settings, champion="sequence_llama")
    buyers = pl.read_parquet(tiny_shop.examples / "test.parquet").head(3)
    events = read_shard(shard_paths(tiny_shop.data)[0])

    def encoder(examples: pl.DataFrame, seen: pl.DataFrame) -> np.ndarray:
        return np.arange(examples.height) + float(seen.height)

    champion = Champion(replace(artifact, settings=settings), {"sequence_llama": encoder})
    expected = [events.height, events.height + 1.0, events.height + 2.0]
    assert champion.spend(buyers, events).tolist() == expected
    given = {"sequence_llama": np.array([3.0, 2.0, 1.0])}
    assert champion.spend_given(buyers, given).tolist() == [3.0, 2.0, 1.0]


def test_encoder_that_the_champion_needs_and_that_was_not_given_is_named(
    tiny_artifact: Path, tiny_shop: TinyShop
) -> None:
    artifact = load_artifact(tiny_artifact)
    settings = replace(artifact.settings, champion="text_llama")
    champion = Champion(replace(artifact, settings=settings), {})
    buyers = pl.read_parquet(tiny_shop.examples / "test.parquet").head(3)
    with pytest.raises(ValueError, match="no model 'text_llama'"):
        champion.spend_given(buyers, {})
