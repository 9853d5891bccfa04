"""Attributes as numbers: codes, what was never seen, and a shop where they decide, from ingest to scores."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.artifact.files import load_artifact
from lifecycle.features.attributes import (
    MAX_CATEGORIES,
    AttributeCode,
    category_of,
    encode,
    fit_attributes,
    given,
    read_customers,
)
from lifecycle.features.numbers import FEATURES
from lifecycle.folders import MANIFEST
from lifecycle.spend.hurdle import Hurdle
from lifecycle.spend.stack import fit_stack, stack_value
from lifecycle.spend.trees import LightGbm
from serving.api.histories import Customer
from serving.api.scoring import queries_of
from serving.predict.predictor import Predictor
from serving.store.events import EventStore
from tests.builders import TinyShop
from training.evaluate.job import evaluate
from training.evaluate.recipe import EvaluateConfig
from training.evaluate.value.windows import read_example_sets, target_of
from training.score.job import score
from training.score.recipe import ScoreConfig

QUICK = {"models": ["lightgbm"], "num_resamples": 20, "report_html": False}


def test_numbers_stay_and_categories_become_their_places() -> None:
    table = pl.DataFrame(
        {
            "customer_id": ["a", "b", "c"],
            "attribute_age": [31.0, 44.5, None],
            "attribute_count": ["Rome", None, "Oslo"],
            "attribute_none": [None] * 3,
        }
    )
    age, city = codes = fit_attributes(table)
    assert age == AttributeCode(name="age", categories=None)
    assert city == AttributeCode(
        name="count", categories=("Oslo", "Rome")
    )  # polars' own name for counts
    new = pl.DataFrame(
        {"attribute_count": ["Rome", "Paris", None], "attribute_age": [7.0, math.inf, None]}
    )
    numbers, places = encode(codes, new)
    assert (numbers.name, numbers.to_list()) == ("attribute_age", [7.0, None, None])
    assert (places.name, places.to_list()) == ("attribute_count", [1.0, 2.0, None])
    assert encode(codes, pl.DataFrame({"x": [1, 2]}))[0].to_list() == [None, None]
    (code,) = fit_attributes(
        pl.DataFrame({"attribute_name": [f"n{number % 50}" for number in range(90)]})
    )
    assert code.categories is not None and len(code.categories) == MAX_CATEGORIES
    assert [given(city, value) for value in (True, 3, 3.5, "x", None)] == [
        "true",
        "3",
        "3.5",
        "x",
        None,
    ]
    member = AttributeCode(name="member", categories=("False", "True"))
    assert [given(age, value) for value in (True, False)] == [1.0, 0.0]
    assert [given(member, value) for value in (True, False, "true")] == ["True", "False", "true"]
    assert [category_of(codes, "attribute_count", value) for value in (0.0, 1.0, 2.0)] == [
        "Oslo",
        "Rome",
        "other",
    ]
    assert (
        category_of(codes, "attribute_age", 31.0) is None
        and category_of(codes, "tenure_days", 1.0) is None
    )
    assert [given(age, value) for value in (3, "3.5", "inf", "old", 1e400, None)] == [
        3.0,
        3.5,
        None,
        None,
        None,
        None,
    ]


@pytest.fixture(scope="module")
def club(tiny_shop: TinyShop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny shop with a club, whose members spend more than others in the end; `secret` says the same."""
    folder = tmp_path_factory.mktemp("club")
    shutil.copytree(tiny_shop.data, folder / "data")
    test = pl.read_parquet(tiny_shop.examples / "test.parquet").select("customer_id", "target")
    is_member = (
        pl.when(pl.col("target") > pl.col("target").median())
        .then(pl.lit("gold"))
        .otherwise(pl.lit("basic"))
    )
    customers = test.select("customer_id", is_member.alias("club"), is_member.alias("secret"))
    customers.write_parquet(folder / "data" / "customers.parquet")
    manifest = json.loads((folder / "data" / MANIFEST).read_text())
    for name, usable in (("blind", []), ("arena", ["club"])):  # the declaration of the last stays
        (folder / "data" / MANIFEST).write_text(
            json.dumps(manifest | {"usable_attributes": usable})
        )
        places = {"data": folder / "data", "examples": tiny_shop.examples, "output": folder / name}
        evaluate(EvaluateConfig.model_validate(places | QUICK))
    return folder


def test_trees_use_what_is_declared_usable_and_nothing_else(club: Path) -> None:
    errors = []
    for name, attributes in (("arena", ["club"]), ("blind", [])):
        artifact = load_artifact(club / name / "artifact")
        assert artifact.attributes == attributes
        lightgbm = artifact.models.single["lightgbm"]
        assert isinstance(lightgbm, LightGbm)
        assert lightgbm.trees.num_feature() == len(FEATURES) + len(attributes)
        errors.append(
            json.loads((club / name / "metrics.json").read_text())["models"]["lightgbm"]["rmse"]
        )
    assert errors[0] < 0.95 * errors[1]


@pytest.mark.parametrize("fit", ["hurdle", "stack"])
def test_other_trees_read_attributes_too(club: Path, tiny_shop: TinyShop, fit: str) -> None:
    manifest = json.loads((club / "data" / MANIFEST).read_text())
    assert manifest["usable_attributes"] == ["club"]
    customers = read_customers(club / "data")
    codes = fit_attributes(customers)
    known = customers.select("customer_id").with_columns(*encode(codes, customers))
    errors = []
    for table in (known, None):
        sets = read_example_sets(tiny_shop.examples, table)
        if fit == "hurdle":
            predicted = Hurdle.fit(sets.for_selection, seed=0).expected_spend(sets.test)
        else:
            trees_alone = replace(fit_stack(sets.train, sets.test, 60, seed=0), btyd_share=0.0)
            predicted = stack_value(trees_alone, sets.test)
        errors.append(np.sqrt(np.mean((predicted - target_of(sets.test)) ** 2)))
    assert errors[0] < 0.95 * errors[1]


def test_attributes_are_the_same_in_scores_and_answers(club: Path, tmp_path: Path) -> None:
    artifact = club / "arena" / "artifact"
    score(ScoreConfig(data=club / "data", artifact=artifact, output=tmp_path / "scores"))
    scores = pl.read_parquet(tmp_path / "scores" / "scores.parquet").sort("customer_id").head(20)
    store = EventStore(club / "data")
    predictor = Predictor(artifact)
    customers = [Customer(customer_id=name) for name in scores["customer_id"]]
    answers = predictor.value(queries_of(store, customers))
    served = [answer["clv"] for answer in answers]
    np.testing.assert_allclose(scores["clv"].to_numpy(), served, rtol=1e-12)
    told = {
        (reason["feature"], reason["value"])
        for answer in answers
        for reason in answer["explanation"]
    }
    assert {("attribute_club=gold", 1.0), ("attribute_club=basic", 1.0)} <= told
    other = [
        Customer(customer_id=one.customer_id, attributes={"club": "basic"}) for one in customers
    ]
    as_others = [answer["clv"] for answer in predictor.value(queries_of(store, other))]
    club_of = dict(
        pl.read_parquet(club / "data" / "customers.parquet")
        .select("customer_id", "club")
        .iter_rows()
    )
    is_basic = np.array([club_of.get(name) == "basic" for name in scores["customer_id"]])
    assert (
        2 < is_basic.sum() < 18
        and ((np.array(as_others) == np.array(served)) == is_basic).mean() > 0.8
    )
    name = str(scores["customer_id"][0])
    assert set(store.attributes_of([name])[name]) == {
        "club"
    }  # what may not be used is not looked up


def test_what_is_no_longer_declared_usable_is_neither_scored_nor_served_by(
    club: Path, tmp_path: Path
) -> None:
    artifact = club / "arena" / "artifact"
    data = tmp_path / "data"
    shutil.copytree(club / "data", data)
    manifest = json.loads((data / MANIFEST).read_text())
    (data / MANIFEST).write_text(json.dumps(manifest | {"usable_attributes": []}))
    score(ScoreConfig(data=data, artifact=artifact, output=tmp_path / "scores"))
    scores = pl.read_parquet(tmp_path / "scores" / "scores.parquet").sort("customer_id").head(20)
    customers = [Customer(customer_id=name) for name in scores["customer_id"]]
    served = [
        answer["clv"]
        for answer in Predictor(artifact).value(queries_of(EventStore(data), customers))
    ]
    np.testing.assert_allclose(scores["clv"].to_numpy(), served, rtol=1e-12)
    named = [Customer(customer_id=one.customer_id, attributes={"club": None}) for one in customers]
    assert served == [
        answer["clv"] for answer in Predictor(artifact).value(queries_of(EventStore(data), named))
    ]


def test_attributes_may_have_any_name_and_value(
    club: Path, tiny_shop: TinyShop, tmp_path: Path
) -> None:
    """Names of our own columns, infinity, and codes that nobody has seen give answers, not failures."""
    data = tmp_path / "data"
    shutil.copytree(club / "data", data)
    ids = pl.read_parquet(tiny_shop.examples / "test.parquet")["customer_id"]
    odd = {
        "cutoff": np.arange(len(ids)),
        "count": ["$x$"] * len(ids),
        "target": np.linspace(0, 1, len(ids)),
    }
    pl.DataFrame({"customer_id": ids, **odd}).write_parquet(data / "customers.parquet")
    manifest = json.loads((data / MANIFEST).read_text())
    (data / MANIFEST).write_text(json.dumps(manifest | {"usable_attributes": list(odd)}))
    places = {"data": data, "examples": tiny_shop.examples, "output": tmp_path / "arena"}
    evaluate(EvaluateConfig.model_validate(places | QUICK))
    artifact = tmp_path / "arena" / "artifact"
    assert sorted(load_artifact(artifact).attributes) == sorted(odd)
    score(ScoreConfig(data=data, artifact=artifact, output=tmp_path / "scores"))
    scores = pl.read_parquet(tmp_path / "scores" / "scores.parquet").sort("customer_id").head(20)
    customers = [Customer(customer_id=name) for name in scores["customer_id"]]
    predictor = Predictor(artifact)
    store = EventStore(data)
    served = [answer["clv"] for answer in predictor.value(queries_of(store, customers))]
    np.testing.assert_allclose(scores["clv"].to_numpy(), served, rtol=1e-12)
    odd_values = {"cutoff": "inf", "target": "soon", "count": "\x00"}
    wild = [one.model_copy(update={"attributes": odd_values}) for one in customers]
    json.dumps(predictor.value(queries_of(store, wild)), allow_nan=False)
