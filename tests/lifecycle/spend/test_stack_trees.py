"""How far the stack leans on BG/NBD itself: by the number of customers, and not at all where it misleads."""

import numpy as np
import pytest

from lifecycle.spend.stack_trees import BTYD_NUMBERS, TRUSTED_BUYERS, Lessons, btyd_share

NUM_CUSTOMERS = 600


def lessons(expected: np.ndarray, due: np.ndarray, target: np.ndarray) -> Lessons:
    """Customers at one cutoff, of whom trees read `due` beside what BG/NBD expects."""
    others = np.zeros((len(target), len(BTYD_NUMBERS) - 1))
    return Lessons(
        inputs=np.column_stack([due, expected, others]),
        target=target,
        fold=np.arange(len(target)) % 5,
        is_latest=np.ones(len(target), dtype=bool),
    )


def test_where_customers_pay_when_it_is_due_bgnbd_misleads() -> None:
    random = np.random.default_rng(0)
    due = random.integers(0, 2, NUM_CUSTOMERS).astype(float)
    found = lessons(random.uniform(50, 150, NUM_CUSTOMERS), due, 100 * due)
    assert btyd_share(found, seed=0) == 0


def test_where_bgnbd_is_right_its_share_falls_with_the_number_of_customers_who_spent() -> None:
    random = np.random.default_rng(0)
    expected = random.lognormal(3, 1, NUM_CUSTOMERS)
    target = (
        expected * random.lognormal(0, 0.5, NUM_CUSTOMERS) * (random.random(NUM_CUSTOMERS) < 0.5)
    )
    found = lessons(expected, random.random(NUM_CUSTOMERS), target)
    num_buyers = int((target > 0).sum())
    assert btyd_share(found, seed=0) == pytest.approx(
        TRUSTED_BUYERS / (TRUSTED_BUYERS + num_buyers)
    )


@pytest.mark.parametrize("spent_by", ["teachers", "others", "nobody"])
def test_without_spend_on_both_sides_the_number_of_customers_decides(spent_by: str) -> None:
    teaches = np.arange(NUM_CUSTOMERS) % 5 < 3
    target = 100.0 * {"teachers": teaches, "others": ~teaches, "nobody": False & teaches}[spent_by]
    found = lessons(np.ones(NUM_CUSTOMERS), np.zeros(NUM_CUSTOMERS), target)
    num_buyers = int((target > 0).sum())
    assert btyd_share(found, seed=0) == pytest.approx(
        TRUSTED_BUYERS / (TRUSTED_BUYERS + num_buyers)
    )
