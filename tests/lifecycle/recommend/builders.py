"""Histories that tests build."""

import numpy as np

from lifecycle.recommend.histories import Histories
from lifecycle.recommend.stack.items import PRICE_NAMES, ItemFacts, fit_item_facts

Order = tuple[float, list[int]]  # age in days, items


def histories_of(customers: list[list[Order]], num_items: int) -> Histories:
    """The histories of customers given as lists of orders, oldest first."""
    orders = [(place, *order) for place, orders in enumerate(customers) for order in orders]
    lines = [
        (customer, number, item, age)
        for number, (customer, age, items) in enumerate(orders)
        for item in sorted(items)
    ]
    columns = list(zip(*lines, strict=True)) or [(), (), (), ()]
    customer, order, item = (np.array(column, dtype=np.int64) for column in columns[:3])
    age_days = np.array(columns[3], dtype=np.float64)
    return Histories(customer, order, item, age_days, len(customers), num_items)


def unpriced_facts(histories: Histories, category: np.ndarray | None = None) -> ItemFacts:
    """Of a shop without amounts; all items of one category where none are given."""
    one = np.zeros(histories.num_items, dtype=np.int64)
    prices = np.full((histories.num_items, len(PRICE_NAMES)), np.nan)
    return fit_item_facts(histories, one if category is None else category, prices)


def random_customers(seed: int, num_customers: int = 12, num_items: int = 20) -> list[list[Order]]:
    """Customers of up to 15 orders, who like some items better than others; the last has none."""
    random = np.random.default_rng(seed)
    customers: list[list[Order]] = []
    for _ in range(num_customers - 1):
        liked = random.permutation(num_items)[:8]
        ages = sorted(
            random.uniform(1, 200, random.integers(1, 16)).round(2).tolist(), reverse=True
        )
        baskets = [random.choice(liked, random.integers(1, 5), replace=False) for _ in ages]
        customers.append(
            [(age, basket.tolist()) for age, basket in zip(ages, baskets, strict=True)]
        )
    return [*customers, []]
