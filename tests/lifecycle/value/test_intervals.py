"""Coverage, nesting and ends of the calibrated intervals."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from pydantic import TypeAdapter
from scipy.stats import norm

from lifecycle.metrics.value import interval_score
from lifecycle.value.intervals import (
    Intervals,
    bounds,
    constant_bounds,
    fit_intervals,
    predictive_ranks,
)
from lifecycle.value.outcomes import Outcomes

LEVELS = (0.8, 0.95)


def customers(seed: int, count: int, wrong: float = 1.0) -> tuple[Outcomes, np.ndarray]:
    """Customers who differ in what they spend, how surely and how evenly, and what they went on to spend.

    What is said of them is wrong by `wrong`: too little is expected of those who spend much, and
    deviations are too small.
    """
    random = np.random.default_rng(seed)
    expected = random.lognormal(3.0, 1.0, count)
    nothing = random.beta(0.5, 1.0, count)
    num_order_days = random.integers(1, 9, count)
    variance = np.where(num_order_days > 2, 0.2, 0.9) * random.uniform(0.5, 1.5, count)
    noise = random.normal(size=count) * np.sqrt(variance) * wrong
    some = expected * np.where(expected > 20, wrong, 1.0) * np.exp(noise - variance / 2)
    actual = np.where(random.random(count) < nothing, 0.0, some / (1 - nothing))
    return Outcomes(expected, nothing, variance, expected, num_order_days.astype(float)), actual


def part(outcomes: Outcomes, here: np.ndarray) -> Outcomes:
    return Outcomes(**{name: values[here] for name, values in vars(outcomes).items()})


def flat(expected: float, nothing: float, count: int) -> Outcomes:
    """Customers who are all alike."""
    columns = (expected, nothing, 1.0, expected, 1.0)
    return Outcomes(*(np.full(count, value) for value in columns))


@pytest.mark.parametrize("wrong", [1.0, 1.6])
def test_ranks_are_uniform_in_every_segment_and_history_also_where_the_outcomes_are_wrong(
    wrong: float,
) -> None:
    intervals = fit_intervals(*customers(0, 8000, wrong))
    outcomes, actual = customers(1, 40_000, wrong)
    ranks = predictive_ranks(intervals, outcomes, actual, seed=1)
    edges = np.quantile(outcomes.expected, [0.5, 0.8, 0.95])
    segment = np.searchsorted(edges, outcomes.expected)
    has_few = outcomes.num_order_days <= 2
    for here in (*(segment == number for number in range(4)), has_few, ~has_few):
        for level in LEVELS:
            found = np.mean(np.abs(ranks[here] - 0.5) <= level / 2)
            assert found == pytest.approx(level, abs=0.03)


def test_closed_intervals_hold_as_often_as_they_say_unless_more_customers_spend_nothing() -> None:
    intervals = fit_intervals(*customers(0, 8000))
    outcomes, actual = customers(1, 40_000)
    low, high = bounds(intervals, outcomes)[0.8]
    inside = (actual >= low) & (actual <= high)
    assert inside[outcomes.nothing < 0.75].mean() == pytest.approx(0.8, abs=0.02)
    surely_nothing = outcomes.nothing > 0.9
    assert (high[surely_nothing] == 0).all() and inside[surely_nothing].mean() > 0.9


def test_who_surely_buys_has_a_low_end_above_nothing_and_who_surely_does_not_a_high_end_of_nothing() -> (
    None
):
    intervals = fit_intervals(*customers(0, 8000))
    sure = replace(flat(50.0, 0.001, 3), nothing=np.array([0.001, 0.5, 0.999]))
    low, high = bounds(intervals, sure)[0.95]
    assert low[0] > 0 and high[0] > 50.0
    assert low[1] == 0 and high[1] > 50.0
    assert (low[2], high[2]) == (0, 0)


def test_an_interval_need_not_hold_what_is_expected() -> None:
    intervals = fit_intervals(*customers(0, 8000))
    outcomes = flat(50.0, 0.97, 1)
    assert bounds(intervals, outcomes)[0.8][1][0] < outcomes.expected[0]


def test_levels_nest_and_are_in_order() -> None:
    for seed in range(20):
        count = int(np.random.default_rng(seed).integers(1, 400))
        intervals = fit_intervals(*customers(seed, count), levels=(0.92, 0.5, 0.9))
        outcomes, _ = customers(seed + 50, 500)
        found = bounds(intervals, outcomes)
        assert list(found) == [0.5, 0.9, 0.92]
        inner_low = inner_high = found[0.5][1]
        for low, high in found.values():
            assert (low >= 0).all() and np.isfinite(high).all()
            assert (low <= inner_low).all() and (inner_high <= high).all()
            inner_low, inner_high = low, high


def test_calibration_by_hand() -> None:
    """Nine customers who surely buy, their ranks a tenth apart: each end is the spend of one of them."""
    outcomes = flat(10.0, 0.0, 9)
    some = (10.0 + 0.5) * np.exp(-0.5)  # the offset is a twentieth of the mean
    actual = some * np.exp(np.linspace(-1.0, 1.0, 9))
    low, high = bounds(fit_intervals(outcomes, actual, (0.8,)), outcomes)[0.8]
    np.testing.assert_allclose(low, actual[0])  # the tenth of (9 + 1)
    np.testing.assert_allclose(high, actual[8])


def test_nobody_who_spends_leaves_ends_of_nothing() -> None:
    outcomes = flat(0.0, 0.9, 50)
    low, high = bounds(fit_intervals(outcomes, np.zeros(50)), outcomes)[0.95]
    assert (low == 0).all() and (high == 0).all()


def test_who_is_expected_to_spend_nothing_may_still_spend() -> None:
    outcomes = replace(flat(0.0, 0.0, 800), expected=np.repeat([0.0, 10.0], 400))
    outcomes = replace(outcomes, horizon_spend=outcomes.expected)
    actual = np.tile([0.0, 5.0], 400)
    low, high = bounds(fit_intervals(outcomes, actual), outcomes)[0.8]
    assert (low == 0).all() and (high[:400] > 4.9).all()


def test_unit_of_money_does_not_matter() -> None:
    outcomes, actual = customers(3, 900)
    cents = replace(
        outcomes, expected=100 * outcomes.expected, horizon_spend=100 * outcomes.expected
    )
    in_cents = bounds(fit_intervals(cents, 100 * actual), cents)
    for level, (low, high) in bounds(fit_intervals(outcomes, actual), outcomes).items():
        np.testing.assert_allclose(in_cents[level], (100 * low, 100 * high), rtol=1e-6)


def test_intervals_survive_json() -> None:
    outcomes, actual = customers(4, 600)
    intervals = fit_intervals(outcomes, actual)
    again = TypeAdapter(Intervals).validate_json(json.dumps(asdict(intervals)))
    assert again == intervals


def test_customers_have_the_same_ends_in_any_company() -> None:
    intervals = fit_intervals(*customers(5, 3000))
    outcomes, _ = customers(6, 500)
    together = bounds(intervals, outcomes)[0.95]
    for row in (0, 7, 499):
        here = np.array([row])
        alone = bounds(intervals, part(outcomes, here))[0.95]
        assert [ends[row] for ends in together] == [ends[0] for ends in alone]


@pytest.mark.parametrize(
    ("predicted", "actual", "levels"),
    [
        ([], [], (0.8,)),
        ([1.0], [1.0, 2.0], (0.8,)),
        ([1.0], [-1.0], (0.8,)),
        ([float("nan")], [1.0], (0.8,)),
        ([1.0], [1.0], (1.0,)),
        ([1.0], [1.0], ()),
    ],
)
def test_bad_calibration_is_refused(
    predicted: list[float], actual: list[float], levels: tuple[float, ...]
) -> None:
    expected = np.array(predicted)
    outcomes = replace(flat(1.0, 0.0, len(expected)), expected=expected)
    with pytest.raises(ValueError, match="intervals need|spend is at least 0|levels are"):
        fit_intervals(outcomes, np.array(actual), levels)


def test_a_distribution_that_is_too_low_shows_in_the_ranks() -> None:
    intervals = fit_intervals(*customers(0, 8000))
    outcomes, actual = customers(1, 40_000)
    ranks = predictive_ranks(intervals, outcomes, 2.0 * actual, seed=1)
    assert np.mean(ranks > 0.9) > 0.13


def test_interval_score_by_hand_and_intervals_that_adapt_beat_those_of_one_width() -> None:
    actual, low, high = (
        np.array([5.0, 0.0, 12.0]),
        np.array([4.0, 1.0, 6.0]),
        np.array([6.0, 3.0, 10.0]),
    )
    assert interval_score(actual, low, high, 0.8) == pytest.approx((2 + 2 + 4 + 10 * (1 + 2)) / 3)
    known, spent = customers(0, 8000)
    outcomes, actual = customers(1, 40_000)
    constant = constant_bounds(known.expected, spent, outcomes.expected, 0.8)
    adaptive = bounds(fit_intervals(known, spent), outcomes)[0.8]
    inside = (actual >= constant[0]) & (actual <= constant[1])
    assert inside.mean() == pytest.approx(0.8, abs=0.02)
    assert interval_score(actual, *adaptive, 0.8) < interval_score(actual, *constant, 0.8)


def test_low_ends_reach_nothing_only_where_so_many_spend_nothing() -> None:
    """One in thirty spends a twentieth of what is expected, and nobody nothing: that is no silence."""
    random = np.random.default_rng(0)
    outcomes = replace(flat(100.0, 0.004, 6000), log_variance=np.full(6000, 0.05))
    few = random.random(6000) < 1 / 30
    actual = 100.0 * np.exp(random.normal(0.0, 0.2, 6000)) * np.where(few, 0.05, 1.0)
    intervals = fit_intervals(outcomes, actual)
    for level, (low, high) in bounds(intervals, outcomes).items():
        assert (low > 0).all()
        assert np.mean((actual >= low) & (actual <= high)) == pytest.approx(level, abs=0.02)


def test_nothing_is_mended_by_how_often_it_came() -> None:
    """Four in a hundred were to spend nothing, and twelve did: too many for a low end above 0."""
    outcomes = flat(100.0, 0.04, 3000)
    actual = np.where(np.arange(3000) % 25 < 3, 0.0, 100.0)
    low, _ = bounds(fit_intervals(outcomes, actual), outcomes)[0.8]
    assert (low == 0).all()
    low, _ = bounds(fit_intervals(outcomes, np.where(actual > 0, actual, 90.0)), outcomes)[0.8]
    assert (low > 0).all()


def test_doubt_about_the_total_makes_intervals_hold_where_all_are_off_together() -> None:
    """Spend is nearly certain but for what all share, which is other in each of a hundred windows."""
    random = np.random.default_rng(0)
    outcomes = replace(flat(100.0, 0.001, 2000), log_variance=np.full(2000, 0.05))
    actual = 100.0 * np.exp(random.normal(0.0, 0.05, 2000))
    shared = 0.1 * norm.ppf((np.arange(100) + 0.5) / 100)
    windows = [actual * np.exp(shift) for shift in shared]

    def held(doubt: float) -> float:
        low, high = bounds(fit_intervals(outcomes, actual, doubt=doubt), outcomes)[0.8]
        return float(np.mean([(low <= spent) & (spent <= high) for spent in windows]))

    assert held(0.0) < 0.5
    assert held(0.1) == pytest.approx(0.8, abs=0.03)


def test_doubt_matters_little_where_customers_scatter_more() -> None:
    outcomes, actual = customers(7, 4000)
    sure = bounds(fit_intervals(outcomes, actual), outcomes)[0.8]
    doubted = bounds(fit_intervals(outcomes, actual, doubt=0.3), outcomes)[0.8]
    widths = [float(np.sum(high - low)) for low, high in (sure, doubted)]
    assert 1.02 < widths[1] / widths[0] < 1.15
