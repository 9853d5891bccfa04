"""Customers who have not bought yet: the rates of the groups by hand, and who belongs to which."""

import numpy as np
import polars as pl
import pytest

from lifecycle.features.numbers import FEATURES
from lifecycle.value.prospects import (
    PRIOR_CUSTOMERS,
    PRIOR_OF_AGE,
    fit_prospects,
    has_bought_before,
    prospect_bounds,
    prospect_conversion,
    prospect_spend,
)


def prospects(num_silent: int, num_in_touch: int, **columns: list[float]) -> pl.DataFrame:
    count = num_silent + num_in_touch
    views = [0.0] * num_silent + [2.0] * num_in_touch
    return pl.DataFrame(dict.fromkeys(FEATURES, [0.0] * count) | {"view_91d": views} | columns)


def test_rates_of_the_two_groups_by_hand() -> None:
    rows = prospects(
        100,
        50,
        target=[0.0] * 100 + [90.0] * 10 + [0.0] * 40,
        num_orders_ahead=[0] * 100 + [3] * 10 + [0] * 40,
    )
    rates = fit_prospects(rows, seed=0)
    assert rates is not None
    overall = 900.0 / 150
    assert rates.spend == pytest.approx(
        (
            (0 + PRIOR_CUSTOMERS * overall) / (100 + PRIOR_CUSTOMERS),
            (900 + PRIOR_CUSTOMERS * overall) / (50 + PRIOR_CUSTOMERS),
            *[overall] * 4,
        )
    )
    assert rates.conversion == pytest.approx(
        (
            (0 + PRIOR_CUSTOMERS / 15) / (100 + PRIOR_CUSTOMERS),
            (10 + PRIOR_CUSTOMERS / 15) / (50 + PRIOR_CUSTOMERS),
            *[1 / 15] * 4,
        )
    )
    assert rates.order_value == 30.0
    assert prospect_spend(rates, prospects(1, 1)).tolist() == list(rates.spend[:2])
    for low, high in prospect_bounds(rates, prospects(1, 1), 1.0).values():
        assert (low == 0).all()  # hardly anybody buys
        assert high[0] <= high[1] < 200.0
    assert prospect_conversion(rates, prospects(1, 1)).tolist() == list(rates.conversion[:2])


def test_shop_without_prospects_has_no_rates() -> None:
    assert fit_prospects(prospects(0, 0, target=[], num_orders_ahead=[]), seed=0) is None
    assert prospect_conversion(None, prospects(2, 0)).tolist() == [0.0, 0.0]


def test_who_began_a_trial_has_a_rate_of_its_own_until_it_is_cancelled() -> None:
    trials = {"trial_days": [5.0, 5.0, 200.0, 5.0], "cancelled_days": [None, 2.0, None, None]}
    rows = pl.DataFrame(dict.fromkeys(FEATURES, [0.0] * 4) | trials).with_columns(
        total_refunded=pl.Series([0.0, 0.0, 0.0, 9.0])
    )
    outcome = {"target": [50.0, 0.0, 0.0, 0.0], "num_orders_ahead": [1, 0, 0, 0]}
    rates = fit_prospects(
        rows.with_columns(**{k: pl.Series(v) for k, v in outcome.items()}), seed=0
    )
    assert rates is not None
    silent, _, in_trial, *older = rates.conversion
    of_trials = (1 + PRIOR_CUSTOMERS / 4) / (1 + PRIOR_CUSTOMERS)
    assert in_trial == pytest.approx((1 + PRIOR_OF_AGE * of_trials) / (1 + PRIOR_OF_AGE))
    assert older == pytest.approx([of_trials] * 3)
    assert silent == pytest.approx((0 + PRIOR_CUSTOMERS / 4) / (3 + PRIOR_CUSTOMERS))
    found = prospect_conversion(rates, rows).tolist()
    assert found == [in_trial, silent, silent, silent], "a refund is no trial's"


def test_a_trial_that_has_just_begun_is_worth_more_than_one_that_ended_unpaid() -> None:
    """Of a fortnight's trials two of five are paid for on its last day, and no other ever."""
    age = np.arange(1.0, 91.0).repeat(20)
    bought = (age <= 14) & (np.arange(len(age)) % 5 < 2)
    rows = prospects(len(age), 0).with_columns(trial_days=pl.Series(age))
    outcome = {"target": 30.0 * bought, "num_orders_ahead": 3 * bought}
    rates = fit_prospects(rows.with_columns(**outcome), seed=0)
    found = prospect_conversion(rates, rows)
    assert found.sum() == pytest.approx(bought.sum(), rel=0.1)
    assert (found[age <= 14] > 0.3).all() and (found[age > 32] < 0.01).all()
    assert prospect_spend(rates, rows)[0] == pytest.approx(30.0 * found[0])


def test_who_is_known_by_a_refund_alone_has_bought_before() -> None:
    rows = pl.DataFrame(dict.fromkeys(FEATURES, [0.0] * 3)).with_columns(
        total_refunded=pl.Series([0.0, 9.0, 9.0]), num_orders=pl.Series([0.0, 0.0, 1.0])
    )
    assert has_bought_before(rows).tolist() == [False, True, False]


def test_bounds_of_prospects_hold_as_often_as_they_say_over_one_horizon_and_over_three() -> None:
    random = np.random.default_rng(0)
    count = 4000

    def spends(horizons: int) -> np.ndarray:
        chance = np.repeat([0.2, 0.7], count)
        bought = random.random((horizons, 2 * count)) < chance
        return np.sum(bought * random.lognormal(3.0, 0.4, bought.shape), axis=0)

    rows = prospects(count, count)
    once = spends(1)
    known = rows.with_columns(target=once, num_orders_ahead=pl.Series(once > 0).cast(pl.Float64))
    rates = fit_prospects(known, seed=0)
    for horizons, off in ((1, 0.02), (3, 0.03)):
        low, high = prospect_bounds(rates, rows, horizons)[0.95]
        spent = spends(horizons)
        assert np.mean((spent >= low) & (spent <= high)) == pytest.approx(0.95, abs=off)
