"""Spend as expected orders times expected value: formulas by hand, three models of purchases, and saving them."""

import numpy as np
import polars as pl
import pytest
from scipy.special import hyp2f1

from lifecycle.value.btyd import BgNbd
from lifecycle.value.buying import (
    BGNBD,
    BTYD_MODELS,
    PARETO_NBD,
    Btyd,
    btyd_active,
    btyd_churn,
    btyd_curve,
    btyd_order_value,
    btyd_survival,
    btyd_value,
    fit_btyd,
    load_btyd,
    save_btyd,
    spreading_model,
)
from lifecycle.value.gamma_gamma import GammaGamma
from lifecycle.value.pareto_nbd import ParetoNbd
from tests.conftest import TinyShop
from tests.test_baselines import customer

MODEL = Btyd(
    BgNbd(r=0.8, alpha=20.0, a=0.6, b=2.5, log_likelihood=0.0, converged=True, num_iterations=1, message=""),
    GammaGamma(p=6.0, q=4.0, v=15.0, log_likelihood=0.0, converged=True, num_iterations=1, message=""),
)
PARETO = Btyd(
    ParetoNbd(r=0.8, alpha=20.0, s=0.6, beta=30.0, log_likelihood=0.0, converged=True, num_iterations=1, message=""),
    MODEL.values,
)


def test_btyd_total_is_expected_orders_times_expected_value_by_hand() -> None:
    r, alpha, a, b, x, recency, age, horizon = 0.8, 20.0, 0.6, 2.5, 2, 40.0, 100.0, 60.0
    # Fader, Hardie and Lee (2005), equation 10, as printed.
    series = hyp2f1(r + x, b + x, a + b + x - 1, horizon / (alpha + age + horizon))
    numerator = (a + b + x - 1) / (a - 1) * (1 - ((alpha + age) / (alpha + age + horizon)) ** (r + x) * series)
    left = a / (b + x - 1) * ((alpha + age) / (alpha + recency)) ** (r + x)
    orders = numerator / (1 + left)
    value = 6.0 * (15.0 + 90.0) / (6.0 * 3 + 4.0 - 1)  # p (v + total spend) / (p x + q - 1) over three order days

    assert btyd_order_value(MODEL, customer()) == pytest.approx([value])
    assert btyd_value(MODEL, customer(), horizon) == pytest.approx([orders * value], rel=1e-9)
    assert btyd_active(MODEL, customer()) == pytest.approx([1 / (1 + left)])
    silent = ((alpha + age) / (alpha + age + horizon)) ** (r + x)
    assert btyd_churn(MODEL, customer(), horizon) == pytest.approx([(silent + left) / (1 + left)])
    assert btyd_curve(MODEL, customer(), np.array([0.0, horizon]))[0] == pytest.approx([0.0, orders])


def test_saved_btyd_comes_back(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("btyd")
    save_btyd({BGNBD: MODEL, PARETO_NBD: PARETO}, folder)
    assert load_btyd(folder) == {BGNBD: MODEL, PARETO_NBD: PARETO}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"btyd_frequency": 0.0, "btyd_recency": 0.0, "num_order_days": 1.0}, "second day"),
        ({"total_spend": 0.0}, "paid"),
    ],
)
@pytest.mark.parametrize("name", BTYD_MODELS)
def test_shop_without_repeat_or_paying_customers_says_so(name: str, change: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_btyd(pl.concat([customer(**change)] * 20), name)


@pytest.mark.parametrize("name", BTYD_MODELS)
def test_every_model_orders_and_totals_the_tiny_shop(name: str, tiny_shop: TinyShop) -> None:
    rows = pl.read_parquet(tiny_shop.examples / "test.parquet")
    model = fit_btyd(rows, name)
    spend = btyd_value(model, rows, 60)
    actual = rows["target"].to_numpy()
    assert 0.7 < spend.sum() / actual.sum() < 1.4
    assert np.corrcoef(spend, actual)[0, 1] > 0.3
    np.testing.assert_allclose(btyd_curve(model, rows, np.array([60.0]))[:, 0] * btyd_order_value(model, rows), spend)
    stays, active, churn = btyd_survival(model, rows, np.array([0.0, 60.0])), btyd_active(model, rows), None
    np.testing.assert_allclose(stays[:, 0], active)
    churn = btyd_churn(model, rows, 60)
    assert ((1 - active <= churn) & (churn <= 1)).all() and (stays[:, 1] <= active).all()


def test_a_total_is_spread_by_the_champion_itself_or_by_bgnbd() -> None:
    models = {BGNBD: MODEL, PARETO_NBD: PARETO}
    assert spreading_model(models, PARETO_NBD) is PARETO
    assert spreading_model(models, "lightgbm") is MODEL
    assert spreading_model({}, "lightgbm") is None
