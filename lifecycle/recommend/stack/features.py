"""What the stack's trees read of a customer and a candidate: own purchases, the customer, the item, its category."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from lifecycle.recommend.histories import Histories
from lifecycle.recommend.scorers.repurchase import SHORTEST_GAP_DAYS, overdue
from lifecycle.recommend.stack.items import FACT_NAMES, ItemFacts

HALF_LIVES_DAYS = (7.0, 14.0, 30.0, 60.0, 90.0, 180.0)
CATEGORY_HALF_LIVES_DAYS = (30.0, 90.0)


@dataclass(frozen=True)
class Candidates:
    """Pairs of customer and item, by customer and then item."""

    customer: np.ndarray
    item: np.ndarray


def values_at(matrix: sparse.csr_array, at: Candidates) -> np.ndarray:
    """The entries of a matrix (customers, items) at pairs, 0 where it has none."""
    found, is_known = places_at(codes(matrix), at.customer * matrix.shape[1] + at.item)
    return np.where(is_known, np.append(matrix.data, 0.0)[found], 0.0)


def codes(matrix: sparse.csr_array) -> np.ndarray:
    """Customer x items + item of each entry of a matrix with sorted rows, ascending."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    found: np.ndarray = rows * matrix.shape[1] + matrix.indices
    return found


def places_at(known: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the codes asked for stand among the sorted known ones, and whether they do."""
    found = np.searchsorted(known, asked)
    return found, np.append(known, -1)[found] == asked


def feature_matrix(histories: Histories, items: ItemFacts, at: Candidates) -> np.ndarray:
    """Shape (candidates, features) float32; what is not known of an item that was never bought is NaN."""
    own, of_customers = own_features(histories, items), customer_features(histories)
    pairs = histories.pairs
    known = pairs.customer * histories.num_items + pairs.item
    place, is_own = places_at(known, at.customer * histories.num_items + at.item)
    unknown = np.full((1, own.shape[1]), np.nan, dtype=np.float32)
    columns = [
        np.concatenate([own, unknown])[np.where(is_own, place, len(own))],
        of_customers[at.customer],
        items.facts[at.item].astype(np.float32),
        category_features(histories, items.category, at),
    ]
    return np.concatenate(columns, axis=1)


def own_features(histories: Histories, items: ItemFacts) -> np.ndarray:
    """By pair: counts, ages, gaps, orders since, and how long overdue."""
    pairs = histories.pairs
    ages = histories.age_days
    count = np.diff(pairs.start, append=len(pairs.lines))
    decays = [pairs.total(2.0 ** (-ages / days)) for days in HALF_LIVES_DAYS]
    since, first = ages[pairs.last], ages[pairs.lines[pairs.start]]
    gap = np.where(count > 1, (first - since) / np.maximum(count - 1, 1), np.nan)
    num_orders = histories.num_orders[pairs.customer]
    ends = np.cumsum(histories.num_orders)[pairs.customer]
    numbered = histories.order
    since_orders = ends - 1 - numbered[pairs.last]
    spanned = ends - numbered[pairs.lines[pairs.start]]
    late = since / np.maximum(gap, SHORTEST_GAP_DAYS)
    over = overdue(histories, since, items.log_gap, items.variance)
    columns = [count, *decays, since, first, gap, late, over, since_orders]
    shares = [count / spanned, count / num_orders]
    return np.stack([*columns, *shares], axis=1).astype(np.float32)


def customer_features(histories: Histories) -> np.ndarray:
    """By customer: orders, days known, days since, gaps, and the size of baskets."""
    firsts = histories.orders
    customer, age = histories.customer[firsts], histories.age_days[firsts]
    oldest = np.zeros(histories.num_customers)
    np.maximum.at(oldest, customer, age)
    latest = np.full(histories.num_customers, np.inf)
    np.minimum.at(latest, customer, age)
    num_orders = histories.num_orders
    num_lines = np.bincount(histories.customer, minlength=histories.num_customers)
    num_items = np.bincount(histories.pairs.customer, minlength=histories.num_customers)
    gap = (oldest - latest) / np.maximum(num_orders - 1, 1)
    size = num_lines / np.maximum(num_orders, 1)
    columns = [
        num_orders,
        oldest,
        latest,
        gap,
        num_items,
        size,
        num_lines / np.maximum(num_items, 1),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def category_features(histories: Histories, category: np.ndarray, at: Candidates) -> np.ndarray:
    """By candidate what the customer has bought of its category: fading counts, their share, days since, items."""
    num_categories = int(category.max(initial=0)) + 1
    of_lines = Histories(
        histories.customer,
        histories.order,
        category[histories.item],
        histories.age_days,
        histories.num_customers,
        num_categories,
    )
    pairs = of_lines.pairs
    known = pairs.customer * num_categories + pairs.item
    place, is_known = places_at(known, at.customer * num_categories + category[at.item])
    counts = [pairs.total(2.0 ** (-of_lines.age_days / days)) for days in CATEGORY_HALF_LIVES_DAYS]
    totals = np.bincount(pairs.customer, counts[-1], minlength=histories.num_customers)
    own_pairs = histories.pairs
    of_own = own_pairs.customer * num_categories + category[own_pairs.item]
    num_items = np.bincount(np.searchsorted(known, of_own), minlength=len(known))
    share = counts[-1] / totals[pairs.customer]
    columns = [*counts, share, of_lines.age_days[pairs.last], num_items]
    table = np.stack(columns, axis=1).astype(np.float32)
    unknown = np.full((1, table.shape[1]), np.nan, dtype=np.float32)
    found: np.ndarray = np.concatenate([table, unknown])[np.where(is_known, place, len(table))]
    return found


OWN_NAMES = (
    "count",
    *(f"decay_{days:.0f}" for days in HALF_LIVES_DAYS),
    "since",
    "first",
    "gap",
    "since_over_gap",
    "overdue",
    "orders_since",
    "share_since_first",
    "share",
)
CUSTOMER_NAMES = (
    "orders",
    "days_known",
    "days_since",
    "visit_gap",
    "items",
    "basket_size",
    "lines_an_item",
)
CATEGORY_NAMES = (
    *(f"category_{days:.0f}" for days in CATEGORY_HALF_LIVES_DAYS),
    "category_share",
    "category_since",
    "category_items",
)
FEATURE_NAMES = (*OWN_NAMES, *CUSTOMER_NAMES, *FACT_NAMES, *CATEGORY_NAMES)
