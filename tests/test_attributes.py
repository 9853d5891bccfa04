"""Attributes as numbers: codes, what was never seen, and a shop where they decide, from ingest to scores."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.artifact import load_artifact
from lifecycle.attributes import MAX_CATEGORIES, AttributeCode, as_text, encode, fit_attributes
from lifecycle.features import FEATURES
from lifecycle.folders import MANIFEST
from lifecycle.value.hurdle import fit_hurdle, hurdle_value
from lifecycle.value.stack import apply_trees, fit_trees, stack_value
from serving.api import queries_of
from serving.predictor import Predictor
from serving.schemas import Customer
from serving.store import EventStore
from tests.conftest import TinyShop
from training.arena_entries import read_example_sets, target_of
from training.evaluate import EvaluateConfig, evaluate
from training.score import ScoreConfig, score


def test_numbers_stay_and_categories_become_their_places() -> None:
    table = pl.DataFrame({"age": ["31", "44.5", None], "city": ["Rome", None, "Oslo"], "none": [None] * 3},
                         schema_overrides={"none": pl.String})  # fmt: skip
    codes = fit_attributes(table, ["age", "city", "none"])
    assert codes == (
        AttributeCode(name="age", categories=None),
        AttributeCode(name="city", categories=("Oslo", "Rome")),
    )
    new = pl.DataFrame({"city": ["Rome", "Paris", None], "age": ["7", "old", None]})
    age, city = encode(codes, new)
    assert (age.name, age.to_list()) == ("attribute_age", [7.0, None, None])
    assert (city.name, city.to_list()) == ("attribute_city", [1.0, 2.0, None])
    assert encode(codes, pl.DataFrame({"x": [1, 2]}))[0].to_list() == [None, None]
    many = pl.DataFrame({"name": [f"n{number % 50}" for number in range(90)]})
    (code,) = fit_attributes(many, ["name"])
    assert code.categories is not None and len(code.categories) == MAX_CATEGORIES
    assert [as_text(value) for value in (True, 3, 3.5, "x", None)] == ["true", "3", "3.5", "x", None]


@pytest.fixture(scope="module")
def club(tiny_shop: TinyShop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny shop with a club, whose members spend more than others in the end; `secret` says the same."""
    folder = tmp_path_factory.mktemp("club")
    shutil.copytree(tiny_shop.data, folder / "data")
    test = pl.read_parquet(tiny_shop.examples / "test.parquet").select("customer_id", "target")
    is_member = pl.when(pl.col("target") > pl.col("target").median()).then(pl.lit("gold")).otherwise(pl.lit("basic"))
    customers = test.select("customer_id", is_member.alias("club"), is_member.alias("secret"))
    customers.write_parquet(folder / "data" / "customers.parquet")
    manifest = json.loads((folder / "data" / MANIFEST).read_text())
    for name, usable in (("blind", []), ("arena", ["club"])):
        (folder / "data" / MANIFEST).write_text(json.dumps(manifest | {"usable_attributes": usable}))
        places = {"data": folder / "data", "examples": tiny_shop.examples, "output": folder / name}
        changes = {"models": ["lightgbm"], "num_resamples": 20}
        evaluate(EvaluateConfig.model_validate(places | changes))
    return folder


def test_trees_use_what_is_declared_usable_and_nothing_else(club: Path) -> None:
    errors = []
    for name, attributes in (("arena", ["club"]), ("blind", [])):
        artifact = load_artifact(club / name / "artifact")
        assert artifact.attributes == attributes and artifact.lightgbm is not None
        assert artifact.lightgbm.num_feature() == len(FEATURES) + len(attributes)
        errors.append(json.loads((club / name / "metrics.json").read_text())["models"]["lightgbm"]["rmse"])
    assert errors[0] < 0.95 * errors[1]


@pytest.mark.parametrize("fit", ["hurdle", "stack"])
def test_other_trees_read_attributes_too(club: Path, tiny_shop: TinyShop, fit: str) -> None:
    customers = pl.read_parquet(club / "data" / "customers.parquet")
    codes = fit_attributes(customers, ["club"])
    known = customers.select("customer_id").with_columns(*encode(codes, customers))
    errors = []
    for table in (known, None):
        sets = read_example_sets(tiny_shop.examples, table)
        if fit == "hurdle":
            predicted = hurdle_value(fit_hurdle(sets.train, seed=0), sets.test)
        else:
            predicted = stack_value(apply_trees(fit_trees(sets.train, 60, seed=0), sets.test, 60), sets.test)
        errors.append(np.sqrt(np.mean((predicted - target_of(sets.test)) ** 2)))
    assert errors[0] < 0.95 * errors[1]


def test_attributes_are_the_same_in_scores_and_answers(club: Path, tmp_path: Path) -> None:
    artifact = club / "arena" / "artifact"
    score(ScoreConfig(data=club / "data", artifact=artifact, output=tmp_path / "scores"))
    scores = pl.read_parquet(tmp_path / "scores" / "scores.parquet").sort("customer_id").head(20)
    store, predictor = EventStore(club / "data"), Predictor(artifact)
    customers = [Customer(customer_id=name) for name in scores["customer_id"]]
    served = [answer["clv"] for answer in predictor.value(queries_of(store, customers))]
    np.testing.assert_allclose(scores["clv"].to_numpy(), served, rtol=1e-12)
    other = [Customer(customer_id=one.customer_id, attributes={"club": "basic"}) for one in customers]
    as_others = [answer["clv"] for answer in predictor.value(queries_of(store, other))]
    club_of = dict(pl.read_parquet(club / "data" / "customers.parquet").select("customer_id", "club").iter_rows())
    is_basic = np.array([club_of.get(name) == "basic" for name in scores["customer_id"]])
    assert 2 < is_basic.sum() < 18 and ((np.array(as_others) == np.array(served)) == is_basic).mean() > 0.8
    name = str(scores["customer_id"][0])
    assert set(store.attributes_of([name])[name]) == {"club"}  # what may not be used is not looked up
