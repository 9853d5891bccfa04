"""The cheap value models against formulas by hand and against themselves."""

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy.special import hyp2f1

from lifecycle.btyd.model import (
    Btyd,
    btyd_active,
    btyd_churn,
    btyd_curve,
    btyd_order_value,
    btyd_value,
    fit_btyd,
    load_btyd,
    save_btyd,
    spreading_btyd,
)
from lifecycle.btyd.pareto_nbd import ParetoNbd
from lifecycle.features.numbers import FEATURES
from lifecycle.features.prompts import PROMPT_NUMBERS
from lifecycle.features.standardisation import StandardisationRules, fit_standardisation
from lifecycle.spend.baselines import persistence, ridge_on, ridge_value
from lifecycle.spend.trees import fit_lightgbm, lightgbm_value
from tests.builders import BTYD, REPORT, TinyShop, customer


def test_persistence_is_the_spend_of_the_last_horizon() -> None:
    assert persistence(customer(spend_last_horizon=12.5)).tolist() == [12.5]


def test_btyd_total_is_expected_orders_times_expected_value_by_hand() -> None:
    r, alpha, a, b, x, recency, age, horizon = 0.8, 20.0, 0.6, 2.5, 2, 40.0, 100.0, 60.0
    # Fader, Hardie and Lee (2005), equation 10, as printed.
    series = hyp2f1(r + x, b + x, a + b + x - 1, horizon / (alpha + age + horizon))
    numerator = (
        (a + b + x - 1)
        / (a - 1)
        * (1 - ((alpha + age) / (alpha + age + horizon)) ** (r + x) * series)
    )
    left = a / (b + x - 1) * ((alpha + age) / (alpha + recency)) ** (r + x)
    orders = numerator / (1 + left)
    value = (
        6.0 * (15.0 + 90.0) / (6.0 * 3 + 4.0 - 1)
    )  # p (v + total spend) / (p x + q - 1) over three order days

    assert btyd_order_value(BTYD, customer()) == pytest.approx([value])
    assert btyd_value(BTYD, customer(), horizon) == pytest.approx([orders * value], rel=1e-9)
    assert btyd_active(BTYD, customer()) == pytest.approx([1 / (1 + left)])
    silent = ((alpha + age) / (alpha + age + horizon)) ** (r + x)
    assert btyd_churn(BTYD, customer(), horizon) == pytest.approx([(silent + left) / (1 + left)])
    assert btyd_curve(BTYD, customer(), np.array([0.0, horizon]))[0] == pytest.approx([0.0, orders])


def test_saved_btyd_comes_back(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("btyd")
    pareto = Btyd(
        ParetoNbd(r=0.5, alpha=10.0, s=0.6, beta=11.0, report=REPORT), BTYD.values, BTYD.typical
    )
    models = {"pareto_nbd_gg": pareto, "bgnbd_gg": BTYD}
    save_btyd(models, folder)
    assert load_btyd(folder) == models and list(load_btyd(folder)) == list(models)


def test_champion_spreads_its_own_total_where_it_can() -> None:
    models = {"bgnbd_gg": BTYD, "mbgnbd_gg": replace(BTYD)}
    assert spreading_btyd(models, "mbgnbd_gg") is models["mbgnbd_gg"]
    assert spreading_btyd(models, "lightgbm") is BTYD
    assert spreading_btyd({}, "lightgbm") is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"btyd_frequency": 0.0, "btyd_recency": 0.0, "num_order_days": 1.0}, "second day"),
        ({"total_spend": 0.0}, "paid"),
    ],
)
def test_btyd_of_a_shop_without_repeat_or_paying_customers_says_so(
    change: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        fit_btyd(pl.concat([customer(**change)] * 20))


def test_lightgbm_is_deterministic_and_predicts_each_row_for_itself(tiny_shop: TinyShop) -> None:
    train, test = (
        pl.read_parquet(tiny_shop.examples / f"{part}.parquet") for part in ("train", "test")
    )
    one, two = fit_lightgbm(train, seed=3), fit_lightgbm(train, seed=3)
    predicted = lightgbm_value(one, test)
    np.testing.assert_array_equal(predicted, lightgbm_value(two, test))
    np.testing.assert_array_equal(
        predicted[:5], [lightgbm_value(one, test[row])[0] for row in range(5)]
    )
    assert (predicted >= 0).all()
    assert np.corrcoef(predicted, test["spend_last_horizon"].to_numpy())[0, 1] > 0.3


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
