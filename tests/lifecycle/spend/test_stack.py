"""The stack: its parts brought to one total, the same after saving, and a cohort that grows old."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.btyd.model import btyd_value, fit_btyd
from lifecycle.events.history import customers_at, outcomes
from lifecycle.events.schema import EVENT_SCHEMA
from lifecycle.features.categories import NO_CATEGORIES
from lifecycle.features.drivers import DRIVERS
from lifecycle.features.numbers import value_features
from lifecycle.names import BGNBD
from lifecycle.spend.stack import (
    Stack,
    fit_stack,
    load_stack,
    read_stack,
    save_stack,
    stack_contributions,
    stack_value,
)
from lifecycle.spend.stack_trees import (
    BTYD_NUMBERS,
    CORRECTING,
    INFORMED,
    SLOW,
    moving_drivers,
    stack_inputs,
)
from lifecycle.spend.trees import LightGbm
from tests.builders import TinyShop, past

START, HORIZON = datetime(2024, 1, 1, tzinfo=UTC), 90


@pytest.fixture(scope="module")
def rows(tiny_shop: TinyShop) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Training and test rows of the tiny shop."""
    train, test = (
        pl.read_parquet(tiny_shop.examples / f"{part}.parquet") for part in ("train", "test")
    )
    return train, test


@pytest.fixture(scope="module")
def stack(rows: tuple[pl.DataFrame, pl.DataFrame]) -> Stack:
    train, test = rows
    return fit_stack(train, test, 60, seed=0)


def test_total_lies_between_bgnbd_and_the_trees_that_correct_it_and_bgnbd_has_a_share_of_its_own(
    stack: Stack, rows: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    _, test = rows
    model = fit_btyd(test, (BGNBD,))[BGNBD]
    expected = btyd_value(model, test, 60)
    start = np.log(np.maximum(expected, 1e-3))
    scores = {
        name: trees.predict(stack_inputs(test, model, 60), raw_score=True)
        for name, trees in stack.trees.items()
    }
    assert set(scores) == {CORRECTING, INFORMED, SLOW}
    corrected = np.exp(scores[CORRECTING] + start)
    total = np.sqrt(corrected.sum() * expected.sum())
    shares = [
        part / part.sum() for part in (corrected, np.exp(scores[INFORMED]), np.exp(scores[SLOW]))
    ]
    latest = rows[0].filter(pl.col("cutoff") == pl.col("cutoff").max())
    share = 500 / (500 + (latest["target"] > 0).sum())
    assert 0.6 < share < 0.8
    even = replace(stack, reach=math.inf, total=1.0)
    blended = share * expected + (1 - share) * total * np.mean(shares, axis=0)
    np.testing.assert_allclose(stack_value(even, test), blended, rtol=1e-9)


def test_beyond_the_largest_training_customers_trees_fade_and_the_total_stays(
    stack: Stack, rows: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    train, test = rows
    by_cutoff = [
        btyd_value(fit_btyd(part, (BGNBD,))[BGNBD], part, 60)
        for part in train.partition_by("cutoff")
    ]
    assert stack.reach == pytest.approx(np.sort(np.concatenate(by_cutoff))[-30])
    even = replace(stack, reach=math.inf, total=1.0)
    assert stack_value(stack, test).sum() == pytest.approx(stack_value(even, test).sum())
    assert stack.btyd is not None
    expected = btyd_value(stack.btyd, test, 60)
    number = int(expected.argmax())
    half = replace(stack, reach=float(expected[number]) / 2, total=1.0)
    mixed = (stack_value(even, test)[number] + expected[number]) / 2
    assert stack_value(half, test)[number] == pytest.approx(mixed)


def test_drivers_that_no_tree_knows_moved_nobody(
    stack: Stack, rows: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    train, test = rows
    possible = moving_drivers(stack.trees.values(), test)
    assert set(stack_contributions(stack, test).drivers()) <= possible
    costs = [name for name in train.columns if name.startswith(DRIVERS["costs"])]
    none = [part.with_columns(pl.lit(0.0).alias(name) for name in costs) for part in rows]
    without = fit_stack(*none, 60, seed=0)
    told = moving_drivers(without.trees.values(), test)
    assert {"rhythm_up", "rhythm_down", "spend_up"} <= told
    assert not {"costs_up", "costs_down"} & told


def test_what_happens_after_the_cutoff_is_not_needed(
    stack: Stack, rows: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    train, test = rows
    again = fit_stack(train, test.drop("target", "actual_net", "num_orders_ahead"), 60, seed=0)
    np.testing.assert_array_equal(stack_value(again, test), stack_value(stack, test))


def test_saved_stack_predicts_the_same(
    stack: Stack, rows: tuple[pl.DataFrame, pl.DataFrame], tmp_path: Path
) -> None:
    save_stack(stack, tmp_path)
    assert stack.btyd is not None
    loaded = load_stack(tmp_path, {BGNBD: stack.btyd})
    np.testing.assert_array_equal(stack_value(loaded, rows[1]), stack_value(stack, rows[1]))


def test_customers_who_never_come_back_leave_the_trees_without_bgnbd(
    rows: tuple[pl.DataFrame, pl.DataFrame],
) -> None:
    once = {"btyd_frequency": 0.0, "btyd_recency": 0.0, "num_order_days": 1.0}
    train, test = (
        part.with_columns(pl.lit(value).alias(name) for name, value in once.items())
        for part in rows
    )
    stack = fit_stack(train, test, 60, seed=0)
    assert set(stack.trees) == {INFORMED, SLOW} and stack.btyd is None and stack.btyd_share == 0
    assert np.isfinite(stack_value(stack, test)).all()
    assert np.isnan(stack_inputs(test, None, 60)[:, -4:]).all() and BTYD_NUMBERS == (
        "btyd_spend",
        "btyd_orders",
        "btyd_order_value",
        "btyd_active",
    )


def test_where_bgnbd_misleads_neither_share_nor_total_is_taken_from_it(
    rows: tuple[pl.DataFrame, pl.DataFrame], tmp_path: Path
) -> None:
    train, test = rows
    pays = pl.col("btyd_age") > train["btyd_age"].median()
    stack = fit_stack(train.with_columns(target=100.0 * pays), test, 60, seed=0)
    assert stack.is_misled and stack.btyd is not None
    expected = stack_value(stack, test)
    usual = stack.trees[INFORMED].predict(stack_inputs(test, stack.btyd, 60))
    assert expected.sum() == pytest.approx(np.sum(usual))
    assert not read_stack(stack, test).parts[BGNBD].any()
    assert np.isfinite(stack_contributions(stack, test).effects).all()
    save_stack(stack, tmp_path)
    loaded = load_stack(tmp_path, {BGNBD: stack.btyd})
    assert loaded.is_misled
    np.testing.assert_array_equal(stack_value(loaded, test), expected)


def ageing_cohort() -> pl.DataFrame:
    """Purchases of 4,000 customers who all came within a month, and leave as BG/NBD says."""
    random, lines = np.random.default_rng(0), []
    for customer in range(4000):
        rate, leaving, now = (
            random.gamma(0.8, 1 / 12.0),
            random.beta(0.7, 2.5),
            random.uniform(0, 30),
        )
        while now < 400:
            lines.append((f"c{customer}", now, float(random.gamma(4.0, 10.0))))
            if random.random() < leaving:
                break
            now += random.exponential(1 / rate)
    rows = [
        {
            "event_id": str(number),
            "customer_id": name,
            "occurred_at": START + timedelta(days=day),
            "kind": "purchase",
            "order_id": str(number),
            "amount": amount,
        }
        for number, (name, day, amount) in enumerate(lines)
    ]
    return pl.DataFrame(rows, schema=EVENT_SCHEMA).sort("customer_id", "occurred_at")


@pytest.mark.integration
def test_cohort_that_grows_old_is_not_taken_for_a_young_one() -> None:
    events = ageing_cohort()
    parts = []
    for day in (60, 75, 165):
        cutoffs = customers_at(events, START + timedelta(days=day))
        features = value_features(events, cutoffs, HORIZON, NO_CATEGORIES)
        parts.append(
            features.join(outcomes(events, cutoffs, HORIZON), on=["customer_id", "cutoff"])
        )
    folds = pl.col("customer_id").hash() % 5
    train, test = pl.concat(parts[:2]).with_columns(fold=folds), parts[2]
    actual = test["target"].sum()
    alone = LightGbm.fit(past(train), seed=0).expected_spend(test).sum() / actual
    stack = stack_value(fit_stack(train, test, HORIZON, seed=0), test).sum() / actual
    assert abs(np.log(alone)) > 0.15 and abs(np.log(stack)) < 0.12
