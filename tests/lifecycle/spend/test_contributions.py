"""Contributions: they add up to the prediction, and drivers are their sums by group."""

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.artifact.answers import contributions_of
from lifecycle.artifact.contents import Artifact
from lifecycle.artifact.files import load_artifact
from lifecycle.btyd.effects import BTYD_INPUTS, btyd_effects, least_spend
from lifecycle.btyd.model import btyd_numbers, btyd_value, spend_of_numbers
from lifecycle.features.drivers import DRIVER_NAMES, DRIVERS, driver_of
from lifecycle.features.numbers import FEATURES
from lifecycle.spend.contributions import Contributions
from lifecycle.spend.stack_trees import BTYD_NUMBERS
from tests.builders import TinyShop


def of_champion(folder: Path, champion: str) -> Artifact:
    artifact = load_artifact(folder)
    return replace(artifact, settings=replace(artifact.settings, champion=champion))


def test_every_feature_belongs_to_a_driver() -> None:
    assert {driver_of(name) for name in (*FEATURES, *BTYD_NUMBERS, "attribute_city")} == set(
        DRIVERS
    )


def test_driver_is_the_group_that_moves_most_with_its_direction() -> None:
    names = ("spend_7d", "total_spend", "recency_days", "support_91d")
    effects = np.array([[0.3, 0.3, -0.5, 0.0], [0.3, -0.3, -0.1, -0.2]])
    found = Contributions(names, np.array([[1.0, 2.0, 3.0, np.nan]] * 2), effects)
    assert found.drivers().tolist() == ["spend_up", "costs_down"] and "rhythm_up" in DRIVER_NAMES
    top = found.top(0, 4)
    assert [reason["feature"] for reason in top] == [
        "recency_days",
        "spend_7d",
        "total_spend",
        "support_91d",
    ]
    assert top[0]["effect"] == pytest.approx(np.exp(-0.5) - 1) and top[3]["value"] is None


@pytest.mark.parametrize(
    "champion", ["lightgbm", "bgnbd_gg", "pareto_nbd_gg", "hurdle", "stack_without_llama"]
)
def test_contributions_move_the_prediction_as_they_say(
    tiny_artifact: Path, tiny_shop: TinyShop, champion: str
) -> None:
    """Of trees with one score, and of BTYD, they add up to the logarithm of the prediction; else they follow it."""
    artifact = of_champion(tiny_artifact, champion)
    examples = pl.read_parquet(tiny_shop.examples / "test.parquet")
    found = contributions_of(artifact, examples)
    assert found is not None and found.effects.shape == found.inputs.shape == (
        examples.height,
        len(found.names),
    )
    spend, effects = (
        artifact.models.expected_spend(champion, examples, {}),
        found.effects.sum(axis=1),
    )
    if champion in artifact.models.btyd:
        spend = np.maximum(
            spend, least_spend(artifact.models.btyd[champion], artifact.settings.horizon_days)
        )
    predicted = np.log(spend)
    if champion in ("hurdle", "stack_without_llama"):
        assert np.corrcoef(predicted, effects)[0, 1] > 0.95
    else:
        np.testing.assert_allclose(predicted - effects, predicted[0] - effects[0], atol=1e-6)


def test_contributions_to_btyd_are_shapley_values(tiny_artifact: Path, tiny_shop: TinyShop) -> None:
    """Against their definition as means over the orders in which a typical customer's numbers can be replaced."""
    model = load_artifact(tiny_artifact).models.btyd["bgnbd_gg"]
    examples = pl.read_parquet(tiny_shop.examples / "test.parquet").head(5)

    def score(numbers: np.ndarray) -> np.ndarray:
        return np.log(np.maximum(spend_of_numbers(model, numbers, 91), least_spend(model, 91)))  # type: ignore[no-any-return]

    own, expected = btyd_numbers(examples), np.zeros((5, len(BTYD_INPUTS)))
    for typical in model.typical:
        for order in permutations(range(len(BTYD_INPUTS))):
            numbers = np.tile(typical, (5, 1))
            for column in order:
                before = score(numbers)
                numbers[:, column] = own[:, column]
                expected[:, column] += score(numbers) - before
    np.testing.assert_allclose(
        btyd_effects(model, examples, 91), expected / (24 * len(model.typical)), atol=1e-9
    )
    np.testing.assert_allclose(spend_of_numbers(model, own, 91), btyd_value(model, examples, 91))


def test_persistence_is_not_explained(tiny_artifact: Path, tiny_shop: TinyShop) -> None:
    artifact = of_champion(tiny_artifact, "persistence")
    assert contributions_of(artifact, pl.read_parquet(tiny_shop.examples / "test.parquet")) is None
