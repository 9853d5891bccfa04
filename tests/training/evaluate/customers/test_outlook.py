"""What metrics.json says of the test customers: sums that agree, shares that add up, attributes."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.artifact.answers import labels_for, values_for
from lifecycle.artifact.files import load_artifact
from lifecycle.decisions.segments import SEGMENTS
from lifecycle.decisions.stages import STAGES
from tests.builders import TinyShop
from training.evaluate.customers.outlook import outlook
from training.evaluate.value.windows import read_example_sets, target_of

TAKEN_OFF = ("refunds", "goods_cost", "service_cost", "marketing_cost", "discounting")


def predicted_of(artifact: Path) -> np.ndarray:
    predictions = pl.read_parquet(artifact.parent / "predictions.parquet")
    champion = json.loads((artifact.parent / "metrics.json").read_text())["champion"]
    return predictions.filter(pl.col("model") == champion)["predicted"].to_numpy()


def test_customers_of_the_arena_are_those_that_the_artifact_answers_for(
    tiny_artifact: Path, tiny_shop: TinyShop
) -> None:
    found = json.loads((tiny_artifact.parent / "metrics.json").read_text())["customers"]
    artifact, sets = load_artifact(tiny_artifact), read_example_sets(tiny_shop.examples)
    predicted = predicted_of(tiny_artifact)
    values = values_for(artifact, sets.test, predicted)
    labels = labels_for(artifact, sets.test, values)
    assert list(found["segments"]) == [
        name for name in reversed(SEGMENTS) if name in found["segments"]
    ]
    for name, of_all in (
        ("clv", values.clv),
        ("predicted", predicted),
        ("actual", target_of(sets.test)),
    ):
        total = sum(segment[name] for segment in found["segments"].values())
        assert total == pytest.approx(of_all.sum())
    assert found["stages"] == {stage: int((labels["stage"] == stage).sum()) for stage in STAGES}
    assert sum(found["actions"].values()) == sets.test.height == sum(found["stages"].values())
    moved = found["transitions"]
    assert moved["days"] == sets.horizon_days
    for stage, shares in moved["shares"].items():
        assert moved["num_customers"][stage] > 0 and sum(shares.values()) == pytest.approx(1.0)
        assert (
            stage in ("acquisition", "activation") or shares["activation"] == 0.0
        )  # nobody buys less than before
    worth = [example["clv"] for example in found["examples"]]
    assert (
        len(worth) == 10
        and worth == sorted(worth, reverse=True)
        and worth[0] == pytest.approx(values.clv.max())
    )
    for example in found["examples"]:
        assert len(example["features"]) == 3 and example["events"] == []
        taken_off = sum(example[name] for name in TAKEN_OFF)
        assert example["clv"] == pytest.approx(example["revenue"] - taken_off)


def test_attributes_are_audited_whatever_they_are(
    tiny_artifact: Path, tiny_shop: TinyShop, tmp_path: Path
) -> None:
    artifact, sets = load_artifact(tiny_artifact), read_example_sets(tiny_shop.examples)
    ids = sets.test["customer_id"]
    some, data = ids.head(ids.len() - 3), tmp_path / "data"
    shutil.copytree(tiny_shop.data, data)
    ages = np.arange(some.len()) % 60
    pl.DataFrame(
        {
            "customer_id": some,
            "sex": ["f" if row % 3 else "m" for row in range(some.len())],
            "age": ages,
            "name": [f"name {row}" for row in range(some.len())],
            "annual_discount_rate": [0.1] * some.len(),
        }
    ).write_parquet(data / "customers.parquet")
    actual = target_of(sets.test)
    found = outlook(
        artifact,
        sets,
        2.0 * actual,
        data,
        {},
        pl.read_parquet(tiny_shop.examples / "prospects.parquet"),
        None,
    ).attributes
    assert list(found) == ["sex", "age", "name"]
    # Everybody has a name of their own.
    assert found["name"]["other"].num_customers == some.len() - 12
    assert set(found["sex"]) == {"f", "m", "unknown"}
    assert found["sex"]["unknown"].num_customers == 3
    assert len(found["age"]) == 5
    assert sum(row.num_customers for row in found["age"].values()) == ids.len()
    women = (
        pl.Series(np.arange(ids.len()) % 3 != 0) & (pl.Series(np.arange(ids.len())) < some.len())
    ).to_numpy()
    assert found["sex"]["f"].num_customers == int(women.sum())
    assert found["sex"]["f"].mae == pytest.approx(actual[women].mean())
    assert found["sex"]["f"].bias == pytest.approx(2.0)
