"""The hurdle: probability times amount, the same after saving, and shops where everybody or nobody comes back."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.features.numbers import FEATURES
from lifecycle.spend.hurdle import fit_hurdle, hurdle_value, load_hurdle, save_hurdle
from tests.builders import TinyShop


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
    hurdle = fit_hurdle(rows, seed=0)
    value = hurdle_value(hurdle, rows)
    for orders in (9.0, 1.0):
        kind = rows.filter(pl.col("num_orders") == orders)["target"].to_numpy()
        (expected,) = np.unique(np.round(value[rows["num_orders"].to_numpy() == orders], 6))
        assert expected == pytest.approx((kind > 0).mean() * kind[kind > 0].mean(), rel=0.02)


def test_saved_hurdle_predicts_the_same(tiny_shop: TinyShop, tmp_path: Path) -> None:
    train, test = (
        pl.read_parquet(tiny_shop.examples / f"{part}.parquet") for part in ("train", "test")
    )
    hurdle = fit_hurdle(train, seed=0)
    save_hurdle(hurdle, tmp_path)
    np.testing.assert_array_equal(
        hurdle_value(load_hurdle(tmp_path), test), hurdle_value(hurdle, test)
    )


def test_shop_where_everybody_comes_back_has_a_hurdle_that_all_pass() -> None:
    rows = customers().filter(pl.col("target") > 0)
    value = hurdle_value(fit_hurdle(rows, seed=0), rows)
    assert value.sum() == pytest.approx(rows["target"].sum(), rel=0.02)
