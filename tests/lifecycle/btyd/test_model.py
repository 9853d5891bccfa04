"""BTYD as a model of spend, against formulas by hand and against itself."""

import numpy as np
import polars as pl
import pytest
from scipy.special import hyp2f1

from lifecycle.btyd.model import (
    Btyd,
    btyd_active,
    btyd_churn,
    btyd_curve,
    btyd_log_variance,
    btyd_order_value,
    btyd_value,
    fit_btyd,
    load_btyd,
    save_btyd,
)
from lifecycle.btyd.pareto_nbd import ParetoNbd
from lifecycle.btyd.purchases import relative_square
from tests.builders import BTYD, REPORT, customer


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


def test_log_variance_is_that_of_orders_and_of_the_own_mean_order_value() -> None:
    examples = customer(btyd_frequency=3.0, btyd_recency=60.0, btyd_age=100.0, num_order_days=4.0)
    random = np.random.default_rng(0)
    shape = BTYD.values.p * 4 + BTYD.values.q
    own_mean = np.log(BTYD.values.p / random.gamma(shape, 1.0, 1_000_000)).var()
    square = relative_square(
        BTYD.purchases, np.array([3.0]), np.array([100.0]), 60.0, within=1.0 / BTYD.values.p
    )
    found = btyd_log_variance(BTYD, examples, 60.0)
    assert found[0] == pytest.approx(np.log(square[0]) + own_mean, rel=1e-3)
    longer = btyd_log_variance(BTYD, examples, 600.0)
    assert longer[0] > found[0]  # until when the customer stays is uncertain


def test_customers_who_have_left_or_order_every_day_have_a_finite_variance() -> None:
    frequency, age = np.array([0.0, 800.0, 2.0]), np.array([1.0, 801.0, 9000.0])
    examples = pl.concat([customer()] * 3).with_columns(
        btyd_frequency=pl.Series(frequency),
        btyd_recency=pl.Series(np.where(frequency > 0, 1.0, 0.0)),
        btyd_age=pl.Series(age),
        num_order_days=pl.Series(frequency + 1),
    )
    for days in (1.0, 60.0, 3660.0):
        found = btyd_log_variance(BTYD, examples, days)
        assert np.isfinite(found).all() and (found > 0).all()
