"""What the report opens with: totals of what serves, and the valuable customers with most to lose first."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.builders import TinyShop
from training.evaluate.customers.worth import value_at_risk
from training.prepare.dataset import read_dataset
from training.results.arena import Results
from training.score.job import score
from training.score.recipe import ScoreConfig


def test_who_loses_nothing_is_not_at_risk() -> None:
    at_risk = value_at_risk(np.array([100.0, -50.0, 10.0]), np.array([0.25, 0.9, 0.0]))
    assert at_risk.tolist() == [25.0, 0.0, 0.0]


def test_totals_and_who_comes_first_are_those_of_the_scores(
    tiny_artifact: Path, tiny_shop: TinyShop, tmp_path: Path
) -> None:
    found = Results.read(tiny_artifact.parent / "metrics.json").worth
    assert found is not None
    as_of = read_dataset(tiny_shop.examples).test_cutoff
    assert found.as_of == str(as_of)
    output = tmp_path / "scores"
    score(ScoreConfig(data=tiny_shop.data, artifact=tiny_artifact, as_of=as_of, output=output))
    scores = pl.read_parquet(output / "scores.parquet").filter(pl.col("stage") != "acquisition")
    assert found.num_customers == scores.height
    assert found.clv == pytest.approx(scores["clv"].sum())
    for name, segment in found.segments.items():
        here = scores.filter(pl.col("segment") == name)
        assert (segment.num_customers, segment.clv) == (
            here.height,
            pytest.approx(here["clv"].sum()),
        )
    assert list(found.segments) == ["top", "high", "middle", "low"]
    valuable = scores.filter(pl.col("segment").is_in(["top", "high"]))
    actions = valuable["next_best_action"].value_counts()
    assert {name: action.num_customers for name, action in found.actions.items()} == dict(
        actions.iter_rows()
    )
    risk = (pl.col("clv") * pl.col("churn_probability")).alias("risk")
    first = valuable.with_columns(risk)
    assert sum(action.at_risk for action in found.actions.values()) == pytest.approx(
        first["risk"].sum()
    )
    first = first.sort("risk", descending=True).head(10)
    assert [one.customer_id for one in found.first] == first["customer_id"].to_list()
    assert [one.at_risk for one in found.first] == pytest.approx(first["risk"].to_list())


def test_artifact_names_no_customer_that_is_worth_acting_on(tiny_artifact: Path) -> None:
    assert "worth" not in json.loads((tiny_artifact / "metrics.json").read_text())
