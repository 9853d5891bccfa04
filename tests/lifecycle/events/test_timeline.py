"""Stretches of events before instants, against a plain search of every event."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from lifecycle.events.history import known_at
from lifecycle.events.schema import KINDS
from lifecycle.events.timeline import NEVER, SECOND, Cutoffs, Timeline, timeline
from tests.builders import CUTOFF, cutoffs, make_events


def drawn(seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Events of ten customers, some at one instant, and cutoffs of twelve, several of some."""
    random = np.random.default_rng(seed)
    events = make_events(
        [
            {"customer_id": f"c{random.integers(10)}", "day": -float(random.integers(1, 60)) / 2}
            for _ in range(200)
        ]
    )
    asked = pl.concat(
        cutoffs(f"c{random.integers(12)}").with_columns(
            pl.col("cutoff") - timedelta(days=float(random.integers(0, 60)) / 2)
        )
        for _ in range(30)
    )
    return events, asked


@pytest.mark.parametrize("seed", range(3))
def test_what_is_before_a_cutoff_is_one_stretch(seed: int) -> None:
    events, asked = drawn(seed)
    rows, numbered, _ = timeline(events, asked)
    found = rows.ends(numbered) - rows.starts(numbered)
    expected = [known_at(events, asked[number]).height for number in range(asked.height)]
    assert found.tolist() == expected
    place, cutoff = rows.known(numbered)
    assert np.bincount(cutoff, minlength=asked.height).tolist() == expected
    assert (rows.customer[place] == numbered.customer[cutoff]).all()
    assert (rows.at[place] < numbered.at[cutoff]).all()


@pytest.mark.parametrize("days", [7, 91, 182, 364])
def test_days_before_a_cutoff_end_as_ages_in_days_do(days: int) -> None:
    ages = [days * 86_400.0 + shift for shift in (-1, -0.000001, 0, 0.999999, 1, 2)]
    events = make_events([{"day": -age / 86_400} for age in ages])
    rows, asked, _ = timeline(events, cutoffs("a"))
    recent = rows.ends(asked) - rows.ends(asked.days_before(days))
    within = (known_at(events, cutoffs("a"))["age_days"] <= days).sum()
    assert recent.tolist() == [within]
    assert 0 < within < len(ages)


def test_numbers_that_are_not_known_are_nothing_and_items_keep_their_ids() -> None:
    events = make_events(
        [
            {"day": -2, "item_id": "tea", "amount": None, "quantity": None},
            {"day": -1, "item_id": None, "kind": "view"},
            {"day": -3, "item_id": "coffee", "amount": 3.0},
        ]
    )
    rows, asked, items = timeline(events, cutoffs("a"))
    assert items.to_list() == ["coffee", "tea"]
    assert (rows.item.tolist(), rows.amount[:2].tolist()) == ([0, 1, -1], [3.0, 0.0])
    assert [KINDS[kind] for kind in rows.kind] == ["purchase", "purchase", "view"]
    assert asked.at.tolist() == [int(CUTOFF.timestamp()) * SECOND]
    assert (rows.cancelled_at == NEVER).all()


def test_nothing_happened_to_nobody() -> None:
    empty = np.array([], dtype=np.int64)
    rows = Timeline(*[empty] * 10)
    asked = Cutoffs(np.array([1, 2]), np.array([5, 5]))
    assert rows.ends(asked).tolist() == [0, 0]
    assert [len(found) for found in rows.known(asked)] == [0, 0]
