"""The hurdle: probability times amount, the same after saving, and shops where everybody or nobody comes back."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.features.numbers import FEATURES
from lifecycle.spend.hurdle import Hurdle
from tests.builders import TinyShop, past


def customers(num_customers: int = 4000) -> pl.DataFrame:
    """Two kinds of customers: a half of the regulars buys, for 100 on average, and a tenth of the others, for 1,000."""
    random = np.random.default_rng(0)
    regular = random.random(num_customers) < 0.5
    bought = random.random(num_customers) < np.where(regular, 0.5, 0.1)
    amount = np.where(regular, 100.0, 1000.0) * random.gamma(4.0, 0.25, num_customers)
    features = pl.DataFrame({name: np.zeros(num_customers) for name in FEATURES})
    return features.with_columns(
        num_orders=pl.Series(np.where(regular, 9.0, 1.0)), target=pl.Series(bought * amount)
    )


def test_value_is_the_probability_of_buying_times_the_mean_amount() -> None:
    rows = customers()
    hurdle = Hurdle.fit(past(rows), seed=0)
    value = hurdle.expected_spend(rows)
    for orders in (9.0, 1.0):
        kind = rows.filter(pl.col("num_orders") == orders)["target"].to_numpy()
        (expected,) = np.unique(np.round(value[rows["num_orders"].to_numpy() == orders], 6))
        assert expected == pytest.approx((kind > 0).mean() * kind[kind > 0].mean(), rel=0.02)


def test_saved_hurdle_predicts_the_same(tiny_shop: TinyShop, tmp_path: Path) -> None:
    train, test = (
        pl.read_parquet(tiny_shop.examples / f"{part}.parquet") for part in ("train", "test")
    )
    hurdle = Hurdle.fit(past(train), seed=0)
    hurdle.save(tmp_path)
    loaded = Hurdle.load(tmp_path)
    assert loaded is not None
    np.testing.assert_array_equal(loaded.expected_spend(test), hurdle.expected_spend(test))


def test_shop_where_everybody_comes_back_has_a_hurdle_that_all_pass() -> None:
    rows = customers().filter(pl.col("target") > 0)
    value = Hurdle.fit(past(rows), seed=0).expected_spend(rows)
    assert value.sum() == pytest.approx(rows["target"].sum(), rel=0.02)
