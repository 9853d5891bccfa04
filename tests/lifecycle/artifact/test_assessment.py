"""What an artifact says of buyers and of prospects: the model's name, the parts of the money, the bounds."""

from pathlib import Path

import numpy as np
import polars as pl

from lifecycle.artifact.assessment import (
    assess_buyers,
    assess_prospects,
    bounds_of,
    money_of,
    numbers_of,
)
from lifecycle.artifact.contents import PROSPECT_MODEL
from lifecycle.artifact.files import load_artifact
from lifecycle.features.numbers import FEATURES
from tests.builders import TinyShop


def test_money_of_buyers_adds_up_to_their_value_and_lies_within_its_bounds(
    tiny_artifact: Path, tiny_shop: TinyShop
) -> None:
    artifact = load_artifact(tiny_artifact)
    buyers = pl.read_parquet(tiny_shop.examples / "test.parquet").head(40)
    total = np.linspace(0.0, 390.0, 40)
    found = assess_buyers(artifact, buyers, total)
    assert found.model == artifact.settings.champion
    assert {name: labels.shape for name, labels in found.labels.items()} == {
        "segment": (40,),
        "stage": (40,),
        "next_best_action": (40,),
    }
    money = money_of(found.values)
    costs = sum(values for name, values in money.items() if name != "revenue")
    np.testing.assert_allclose(money["revenue"] - costs, found.values.clv, atol=1e-9)
    bounds = bounds_of(found.values)
    assert list(bounds) == ["low_80", "high_80", "low_95", "high_95"]
    ends = [bounds["low_95"], bounds["low_80"], bounds["high_80"], bounds["high_95"]]
    assert (np.diff(ends, axis=0) >= 0).all()
    assert {"p_active", "expected_orders", *money} < set(numbers_of(found.values))


def test_prospects_are_answered_for_by_what_such_people_spent(
    tiny_artifact: Path, tiny_shop: TinyShop
) -> None:
    artifact = load_artifact(tiny_artifact)
    assert artifact.settings.prospects is None
    visitors = pl.DataFrame(dict.fromkeys(FEATURES, [0.0, 0.0]))
    assert visitors["num_orders"].max() == 0
    found = assess_prospects(artifact, visitors)
    assert found.model == PROSPECT_MODEL
    assert set(found.labels["stage"]) == {"acquisition"}
    assert found.values.clv.tolist() == [0.0, 0.0], "this shop never had any"
