"""Sampled softmax: in the mean the sum over all items."""

import numpy as np
import pytest

from training.tasks.next_item.sampled_items import item_chances, sampled_items


def test_weighted_sums_over_samples_are_in_the_mean_those_over_all_items() -> None:
    generator = np.random.default_rng(0)
    values = generator.uniform(0.1, 3.0, 500)
    chances = item_chances(generator.integers(0, 200, 500))
    cumulative = np.cumsum(chances)
    sums = []
    for _ in range(400):
        items, weights = sampled_items(cumulative, chances, 100, np.array([], int), generator)
        sums.append(float((values[items] * np.exp(weights)).sum()))
    spread = np.std(sums) / np.sqrt(len(sums))
    assert np.mean(sums) == pytest.approx(values.sum(), abs=4 * spread)
    assert spread < 0.02 * values.sum()


def test_bought_items_are_there_each_once_and_in_order() -> None:
    chances = item_chances(np.array([10**6, 0, 0, 0]))
    bought = np.array([3, 1, 3])
    items, weights = sampled_items(np.cumsum(chances), chances, 5, bought, np.random.default_rng(0))
    assert items.tolist() == [0, 1, 3]
    assert weights[0] == pytest.approx(-np.log(chances[0]))  # drawn five times of five
    assert np.isneginf(weights[1:]).all()


def test_items_bought_more_are_drawn_more_and_none_never() -> None:
    chances = item_chances(np.array([0, 15, 80]))
    assert chances / chances[0] == pytest.approx([1.0, 8.0, 27.0])
    assert chances.sum() == pytest.approx(1.0)
