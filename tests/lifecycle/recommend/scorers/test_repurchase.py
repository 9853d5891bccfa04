"""What is due again: intervals and waits by hand, and the bump where it belongs."""

import numpy as np
import pytest

from lifecycle.recommend.scorers.repurchase import (
    OWN_PRIOR_GAPS,
    PRIOR_GAPS,
    fit_repurchase,
    gaps,
    next_visit_days,
    own_log_gaps,
    usual_visit_gap,
)
from tests.lifecycle.recommend.builders import histories_of

CUSTOMERS = [
    [(40.0, [0]), (30.0, [0, 1]), (10.0, [0])],
    [(9.0, [1]), (5.0, [2])],
    [],
]
HISTORIES = histories_of(CUSTOMERS, 3)
NO_POWERS = {"half_life_days": 20.0, "bump": 2.0, "repeat_power": 0.0}


def test_gaps_lie_between_orders_of_one_item_by_one_customer() -> None:
    _, item, log_gap = gaps(HISTORIES)
    assert item.tolist() == [0, 0]
    assert np.exp(log_gap) == pytest.approx([10.0, 20.0])


def test_intervals_are_shrunk_to_those_of_all_items() -> None:
    fitted = fit_repurchase(HISTORIES, **NO_POWERS)
    mean = np.log(200) / 2
    assert fitted.log_gap == pytest.approx([mean] * 3)
    share = 3 / 8  # two gaps in six lines, and one more in two more
    repeated = [(2 + 10 * share) / 13, 10 * share / 12, 10 * share / 11]
    assert PRIOR_GAPS == 10 and fitted.repeated == pytest.approx(repeated)
    own = own_log_gaps(HISTORIES, np.array([0.0, 1.0, 2.0]))
    expected = [np.log(200) / (2 + OWN_PRIOR_GAPS), 1.0, 1.0, 2.0]
    assert own == pytest.approx(expected)


def test_the_next_visit_is_a_usual_gap_away() -> None:
    assert usual_visit_gap(HISTORIES) == pytest.approx((10 + 20 + 4) / 3)
    found = next_visit_days(HISTORIES, 6.0)
    assert found == pytest.approx([(30 + 6) / 3, (4 + 6) / 2, 6.0])


def test_scores_fade_and_rise_when_an_item_is_due() -> None:
    fitted = fit_repurchase(HISTORIES, **NO_POWERS)
    found = fitted.scores(HISTORIES).toarray()
    wait = next_visit_days(HISTORIES, fitted.visit_gap_days)[0]
    since = 10 + wait
    own = (np.log(200) + OWN_PRIOR_GAPS * fitted.log_gap[0]) / (2 + OWN_PRIOR_GAPS)
    due = np.exp(-((np.log(since) - own) ** 2) / (2 * fitted.variance[0]))
    decayed = sum(2 ** (-(age + wait) / 20) for age in (40, 30, 10))
    assert found[0, 0] == pytest.approx(decayed * (1 + 2 * due))
    assert (found > 0).tolist() == [[True, True, False], [False, True, True], [False] * 3]


def test_a_shop_where_nobody_bought_twice() -> None:
    fitted = fit_repurchase(histories_of([[(5.0, [0])], []], 2), **NO_POWERS)
    assert np.isfinite(fitted.log_gap).all() and (fitted.variance > 0).all()
    nobody = fit_repurchase(histories_of([], 2), **NO_POWERS)
    assert nobody.scores(histories_of([[(5.0, [0])]], 2)).nnz == 1
