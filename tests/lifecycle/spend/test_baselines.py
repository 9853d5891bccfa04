"""Persistence and ridge, against numbers by hand."""

import math

import numpy as np
import polars as pl
import pytest

from lifecycle.features.numbers import FEATURES
from lifecycle.features.prompts import PROMPT_NUMBERS
from lifecycle.features.standardisation import StandardisationRules, fit_standardisation
from lifecycle.spend.baselines import Persistence, ridge_on, ridge_value
from tests.builders import TinyShop, customer


def test_persistence_is_the_spend_of_the_last_horizon() -> None:
    assert Persistence().expected_spend(customer(spend_last_horizon=12.5)).tolist() == [12.5]


def test_ridge_finds_a_line_in_the_root_of_spend() -> None:
    random = np.random.default_rng(0)
    inputs = random.normal(size=(500, 2))
    root = 10 + inputs @ np.array([2.0, -1.0])
    predicted = ridge_on(inputs[:400], root[:400] ** 2, inputs[400:], alpha=1e-6)
    np.testing.assert_allclose(predicted, root[400:] ** 2, rtol=1e-6)


def test_ridge_adds_back_the_variance_that_the_root_hides() -> None:
    root = np.tile([8.0, 12.0], 200)  # no input explains it: mean 10, variance 4
    assert ridge_on(np.zeros((400, 1)), root**2, np.zeros((1, 1))) == pytest.approx([104.0])


def test_ridge_reads_only_the_numbers_of_the_prompt(tiny_shop: TinyShop) -> None:
    train, test = (
        pl.read_parquet(tiny_shop.examples / f"{part}.parquet") for part in ("train", "test")
    )
    others = [name for name in FEATURES if name not in PROMPT_NUMBERS]
    changed = test.with_columns(pl.lit(1e6).alias(name) for name in others)
    scale = fit_standardisation(
        tiny_shop.examples / "train.parquet", FEATURES, StandardisationRules()
    )
    predicted = ridge_value(train, test, scale)
    np.testing.assert_array_equal(predicted, ridge_value(train, changed, scale))
    assert np.isfinite(predicted).all() and (predicted >= 0).all()
    assert math.isclose(predicted.mean(), test["target"].mean(), rel_tol=0.5)  # type: ignore[arg-type]
