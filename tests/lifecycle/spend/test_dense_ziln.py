"""Dense ZILN: it learns what tells customers apart, is the same after saving, and finite far from all it saw."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.features.numbers import FEATURES
from lifecycle.features.standardisation import (
    Standardisation,
    StandardisationRules,
    fit_standardisation,
)
from lifecycle.metrics.value import value_metrics
from lifecycle.spend.dense_ziln import DenseZiln
from tests.builders import past


def customers(seed: int, num_customers: int = 6000) -> pl.DataFrame:
    """Customers who buy with a probability that falls with recency, for amounts that grow with past spend."""
    random = np.random.default_rng(seed)
    recency, spend = (
        random.uniform(1, 100, num_customers),
        random.lognormal(3.0, 1.0, num_customers),
    )
    bought = random.random(num_customers) < 0.9 * np.exp(-recency / 60)
    numbers = {name: np.zeros(num_customers) for name in FEATURES} | {
        "recency_days": recency,
        "total_spend": spend,
    }
    return pl.DataFrame(
        numbers | {"target": bought * spend * random.lognormal(-0.08, 0.4, num_customers)}
    )


def fitted(rows: pl.DataFrame, scale: Standardisation) -> DenseZiln:
    model = DenseZiln.fit(replace(past(rows), scale=scale), seed=0)
    assert model is not None
    return model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> DenseZiln:
    rows, file = customers(0), tmp_path_factory.mktemp("ziln") / "train.parquet"
    rows.write_parquet(file)
    scale = fit_standardisation(file, FEATURES, StandardisationRules())
    return fitted(rows, scale)


@pytest.mark.integration
def test_new_customers_are_ordered_nearly_as_by_the_truth_and_their_total_is_right(
    model: DenseZiln,
) -> None:
    rows = customers(1)
    truth = 0.9 * np.exp(-rows["recency_days"].to_numpy() / 60) * rows["total_spend"].to_numpy()
    actual = rows["target"].to_numpy()
    found, best = (value_metrics(actual, values) for values in (model.expected_spend(rows), truth))
    assert found["gini"] is not None and best["gini"] is not None and found["bias"] is not None
    assert found["gini"] > best["gini"] - 0.02
    assert abs(found["bias"] - 1) < 0.1


def test_same_seed_gives_the_same_network_and_saving_keeps_it(
    model: DenseZiln, tmp_path: Path
) -> None:
    rows = customers(1, 100)
    again = fitted(customers(0), model.scale)
    np.testing.assert_array_equal(again.expected_spend(rows), model.expected_spend(rows))
    model.save(tmp_path)
    loaded = DenseZiln.load(tmp_path)
    assert loaded is not None
    np.testing.assert_array_equal(loaded.expected_spend(rows), model.expected_spend(rows))


def test_customer_far_from_all_others_has_a_finite_value(model: DenseZiln) -> None:
    rows = customers(1, 1).with_columns(pl.lit(1e12).alias(name) for name in FEATURES)
    assert np.isfinite(model.expected_spend(rows)).all()


def test_feature_that_never_varied_in_training_says_nothing(model: DenseZiln) -> None:
    rows = customers(1, 100)
    later = rows.with_columns(pl.lit(50.0).alias("year_ago_spend"))
    np.testing.assert_array_equal(model.expected_spend(later), model.expected_spend(rows))
