"""LightGBM: the same seed gives the same trees, and a row alone what it gets among others."""

import numpy as np
import polars as pl

from lifecycle.spend.trees import LightGbm
from tests.builders import TinyShop, past


def test_lightgbm_is_deterministic_and_predicts_each_row_for_itself(tiny_shop: TinyShop) -> None:
    train, test = (
        pl.read_parquet(tiny_shop.examples / f"{part}.parquet") for part in ("train", "test")
    )
    one, two = LightGbm.fit(past(train), seed=3), LightGbm.fit(past(train), seed=3)
    predicted = one.expected_spend(test)
    np.testing.assert_array_equal(predicted, two.expected_spend(test))
    np.testing.assert_array_equal(
        predicted[:5], [one.expected_spend(test[row])[0] for row in range(5)]
    )
    assert (predicted >= 0).all()
    assert np.corrcoef(predicted, test["spend_last_horizon"].to_numpy())[0, 1] > 0.3
