"""Features of candidates by hand."""

import math
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from scipy import sparse

from lifecycle.recommend.stack.features import (
    FEATURE_NAMES,
    Candidates,
    feature_matrix,
    values_at,
)
from lifecycle.recommend.stack.items import FACT_NAMES, PRICE_NAMES, category_codes, item_prices
from tests.lifecycle.recommend.builders import histories_of, unpriced_facts

CUSTOMERS = [
    [(40.0, [0]), (30.0, [0, 1]), (10.0, [1])],
    [(9.0, [1])],
]
HISTORIES = histories_of(CUSTOMERS, 3)
CATEGORY = np.array([0, 0, 1])  # items 0 and 1 are of one
FACTS = unpriced_facts(HISTORIES, CATEGORY)


def features(customer: int, item: int) -> dict[str, float]:
    at = Candidates(np.array([customer]), np.array([item]))
    row = feature_matrix(HISTORIES, FACTS, at)
    assert row.shape == (1, len(FEATURE_NAMES)) and row.dtype == np.float32
    return dict(zip(FEATURE_NAMES, row[0].tolist(), strict=True))


def test_own_items_have_counts_ages_and_gaps() -> None:
    found = features(0, 0)
    expected = {
        "count": 2,
        "decay_30": 2 ** (-40 / 30) + 0.5,
        "since": 30,
        "first": 40,
        "gap": 10,
        "since_over_gap": 3,
        "orders_since": 1,
        "share_since_first": 2 / 3,
        "share": 2 / 3,
        "orders": 3,
        "days_known": 40,
        "days_since": 10,
        "visit_gap": 15,
        "items": 2,
        "basket_size": 4 / 3,
        "lines_an_item": 2,
        "category_since": 10,
        "category_items": 2,
        "category_share": 1,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_what_was_never_bought_is_unknown() -> None:
    found = features(1, 2)
    assert np.isnan([found[name] for name in ("count", "since", "category_30", "overdue")]).all()
    assert (found["orders"], found["visit_gap"], found["buyers"]) == (1, 0, 0)
    of_its_category = features(1, 0)
    assert np.isnan(of_its_category["count"]) and of_its_category["category_items"] == 1


def test_facts_of_items() -> None:
    facts = dict(zip(FACT_NAMES, FACTS.facts[1].tolist(), strict=True))
    expected = {"popularity_14": 1000, "popularity_91": 1500, "buyers": 1000, "buyers_again": 0.5}
    assert {name: facts[name] for name in expected} == expected


def test_categories_are_numbers_and_items_without_one_share_theirs() -> None:
    items = pl.DataFrame({"item_id": ["c", "a", "b"], "category": ["tea", "tea", None]})
    assert category_codes(items, pl.Series(["a", "b", "c", "d"])).tolist() == [0, 1, 0, 1]


def test_values_of_a_matrix_at_pairs() -> None:
    matrix = sparse.csr_array([[0, 1.0], [2.0, 0]])
    at = Candidates(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))
    assert values_at(matrix, at).tolist() == [0, 1, 2, 0]
    assert values_at(sparse.csr_array((2, 2)), at).tolist() == [0] * 4


def test_prices_are_money_over_pieces_and_lately_beside_what_is_usual() -> None:
    cutoff = datetime(2026, 3, 1, tzinfo=UTC)
    lines = [  # item, days before, amount, quantity
        ("a", 300.0, 30.0, 10.0),
        ("a", 20.0, 10.0, 2.0),
        ("a", 14.0, 4.0, 2.0),
        ("a", 0.0, 100.0, 1.0),  # at the cutoff: not known yet
        ("b", 400.0, 7.0, 1.0),  # more than a year ago
        ("c", 1.0, 8.0, None),
        ("c", 1.0, 0.0, 5.0),
    ]
    columns = ("item_id", "days", "amount", "quantity")
    rows = pl.DataFrame(lines, columns, orient="row").with_columns(
        occurred_at=pl.lit(cutoff) - pl.duration(days=pl.col("days"))
    )
    shards = [rows.filter(pl.col("item_id") == "a"), rows.filter(pl.col("item_id") != "a")]
    found = item_prices(shards, pl.Series(["a", "b", "c", "d"]), cutoff)
    told = [dict(zip(PRICE_NAMES, row, strict=True)) for row in found.tolist()]
    usual = 44 / 14
    assert told[0] == pytest.approx(
        {
            "log_price": math.log(usual),
            "price_7": math.nan,
            "price_14": 2 / usual,
            "price_28": 14 / 4 / usual,
        },
        nan_ok=True,
    )
    assert np.isnan(found[[1, 3]]).all()
    assert told[2]["log_price"] == pytest.approx(math.log(8)) and told[2]["price_7"] == 1
