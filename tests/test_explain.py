"""Contributions of trees: they add up to the prediction, and drivers are their sums by group."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.answering import contributions_of, expected_spend
from lifecycle.artifact import Artifact, load_artifact
from lifecycle.explain import DRIVER_NAMES, DRIVERS, Contributions, driver_of
from lifecycle.features import FEATURES
from lifecycle.value.stack import BTYD_NUMBERS
from tests.conftest import TinyShop


def of_champion(folder: Path, champion: str) -> Artifact:
    artifact = load_artifact(folder)
    return replace(artifact, settings=replace(artifact.settings, champion=champion))


def test_every_feature_belongs_to_a_driver() -> None:
    assert {driver_of(name) for name in (*FEATURES, *BTYD_NUMBERS, "attribute_city")} == set(DRIVERS)


def test_driver_is_the_group_that_moves_most_with_its_direction() -> None:
    names = ("spend_7d", "total_spend", "recency_days", "support_91d")
    effects = np.array([[0.3, 0.3, -0.5, 0.0], [0.3, -0.3, -0.1, -0.2]])
    found = Contributions(names, np.array([[1.0, 2.0, 3.0, np.nan]] * 2), effects)
    assert found.drivers().tolist() == ["spend_up", "costs_down"] and "rhythm_up" in DRIVER_NAMES
    top = found.top(0, 4)
    assert [reason["feature"] for reason in top] == ["recency_days", "spend_7d", "total_spend", "support_91d"]
    assert top[0]["effect"] == pytest.approx(np.exp(-0.5) - 1) and top[3]["value"] is None


@pytest.mark.parametrize("champion", ["lightgbm", "hurdle", "stack_without_llama"])
def test_contributions_move_the_prediction_as_they_say(
    tiny_artifact: Path, tiny_shop: TinyShop, tmp_path: Path, champion: str
) -> None:
    """Of LightGBM they add up to the logarithm of the prediction; of the others they follow it closely.

    Of a stack they are those of its trees. BG/NBD's share, two thirds in this small shop, moves much alike.
    """
    artifact = of_champion(tiny_artifact, champion)
    examples = pl.read_parquet(tiny_shop.examples / "test.parquet")
    found = contributions_of(artifact, examples)
    assert found is not None and found.effects.shape == (examples.height, len(found.names))
    predicted = np.log(expected_spend(artifact, champion, examples, {}))
    if champion == "lightgbm":
        base = predicted - found.effects.sum(axis=1)
        np.testing.assert_allclose(base, base[0], atol=1e-6)
    else:
        effects = found.effects.sum(axis=1)
        if champion != "hurdle":
            assert artifact.stack is not None and artifact.stack.btyd_share > 0.6
            assert np.corrcoef(predicted, effects)[0, 1] > 0.8
            trees_alone = replace(artifact, stack=replace(artifact.stack, btyd_share=0.0))
            predicted = np.log(expected_spend(trees_alone, champion, examples, {}))
        assert np.corrcoef(predicted, effects)[0, 1] > 0.9


def test_models_without_trees_are_not_explained(tiny_artifact: Path, tiny_shop: TinyShop) -> None:
    artifact = of_champion(tiny_artifact, "persistence")
    assert contributions_of(artifact, pl.read_parquet(tiny_shop.examples / "test.parquet")) is None
