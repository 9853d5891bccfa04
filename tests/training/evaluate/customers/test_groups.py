"""Hidden groups: found where there are some, and told from a cloud without any."""

import numpy as np
import polars as pl
import pytest

from training.evaluate.customers.groups import MIN_CUSTOMERS, TRAITS, hidden_groups


def customers(group: np.ndarray) -> pl.DataFrame:
    random = np.random.default_rng(1)
    frame = pl.DataFrame({name: random.normal(10.0, 1.0, len(group)) for name in TRAITS})
    spend = 100.0 * group
    orders = pl.Series(2.0 + 20.0 * (group == 2) + random.normal(size=len(group)))
    return frame.with_columns(
        num_orders=orders, predicted=pl.Series(spend), target=pl.Series(spend + 1.0)
    )


def test_groups_that_are_there_are_found_and_described() -> None:
    random = np.random.default_rng(0)
    group = np.repeat(np.arange(4), 100)
    states = 6.0 * np.eye(12)[group] + random.normal(size=(400, 12))
    both = hidden_groups(states, customers(group), seed=0)
    assert both is not None
    found, numbers = both
    assert numbers.tolist() == (3 - group).tolist(), (
        "as in the list of groups: the highest predicted spend first"
    )
    assert found.stability == pytest.approx(1.0, abs=0.05)
    groups = found.groups
    assert [round(one.predicted) for one in groups] == [
        300,
        200,
        100,
        0,
    ]
    assert [one.num_customers for one in groups] == [100] * 4 and groups[1].actual == pytest.approx(
        201.0
    )
    assert groups[1].description.startswith("orders so far 22")


def test_a_cloud_is_not_stable_and_few_customers_have_no_groups() -> None:
    cloud, rows = np.random.default_rng(0).normal(size=(400, 12)), customers(np.zeros(400))
    both = hidden_groups(cloud, rows, seed=0)
    assert both is not None and both[0].stability < 0.6
    assert hidden_groups(cloud[: MIN_CUSTOMERS - 1], rows.head(MIN_CUSTOMERS - 1), seed=0) is None
