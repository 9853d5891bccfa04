"""What is due again: own items that fade, and rise about when they were bought again in the past.

After the kernel of TAIW (Romanov et al., RecSys 2023): a decay plus a bump at an item's own interval.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from lifecycle.recommend.histories import Histories
from lifecycle.recommend.scorers.ranker import only_offered

PRIOR_GAPS = 10.0  # of all items, in the interval of one
OWN_PRIOR_GAPS = 3.0  # of an item, in the interval of one customer
SHORTEST_GAP_DAYS = 0.5
LEAST_VARIANCE = 0.05  # of the logarithm of an interval


@dataclass(frozen=True)
class Repurchase:
    """repeated^repeat_power x decayed count x (1 + bump x dueness), at the customer's next visit."""

    log_gap: (
        np.ndarray
    )  # (items,) mean logarithm of the days between orders of an item by a customer
    variance: np.ndarray  # (items,) of that logarithm
    repeated: np.ndarray  # (items,) the share of orders that another order of that item followed
    visit_gap_days: float  # between the orders of all customers
    half_life_days: float
    bump: float
    repeat_power: float

    def scores(self, histories: Histories, offered: np.ndarray | None = None) -> sparse.csr_array:
        """See Ranker."""
        wait = next_visit_days(histories, self.visit_gap_days)
        ages = histories.age_days + wait[histories.customer]
        pairs = histories.pairs
        decayed = pairs.total(2.0 ** (-ages / self.half_life_days))
        repeated = self.repeated[pairs.item] ** self.repeat_power
        # 1 where as many days have passed as usual between this customer's orders of the item.
        over = overdue(histories, ages[pairs.last], self.log_gap, self.variance)
        due = np.exp(-(over**2) / 2)
        scores = histories.matrix(repeated * decayed * (1 + self.bump * due))
        return only_offered(scores, offered)


def own_log_gaps(histories: Histories, log_gap: np.ndarray) -> np.ndarray:
    """By pair the mean logarithm of the customer's own gaps, shrunk to that of the item."""
    pair, _, own = gaps(histories)
    item = histories.pairs.item
    total = np.bincount(pair, own, minlength=len(item))
    count = np.bincount(pair, minlength=len(item))
    found: np.ndarray = (total + OWN_PRIOR_GAPS * log_gap[item]) / (count + OWN_PRIOR_GAPS)
    return found


def overdue(
    histories: Histories, since_days: np.ndarray, log_gap: np.ndarray, variance: np.ndarray
) -> np.ndarray:
    """By pair, in standard deviations of its logarithm, by how much the days passed exceed the usual interval."""
    off = np.log(np.maximum(since_days, SHORTEST_GAP_DAYS)) - own_log_gaps(histories, log_gap)
    found: np.ndarray = off / np.sqrt(variance[histories.pairs.item])
    return found


def gaps(histories: Histories) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Between an order of an item and the customer's next one of it: the pair, the item, the logarithm of the days."""
    pairs = histories.pairs
    num_lines = np.diff(pairs.start, append=len(pairs.lines))
    pair = np.repeat(np.arange(len(pairs.start)), num_lines)
    ages = histories.age_days[pairs.lines]
    is_same = pair[1:] == pair[:-1]
    days = np.maximum((ages[:-1] - ages[1:])[is_same], SHORTEST_GAP_DAYS)
    of_gap = pair[1:][is_same]
    return of_gap, pairs.item[of_gap], np.log(days)


def next_visit_days(histories: Histories, usual_days: float) -> np.ndarray:
    """The days that each customer usually lets pass between orders; `usual_days` counts as one gap of theirs."""
    firsts = histories.orders
    customer, age = histories.customer[firsts], histories.age_days[firsts]
    oldest = np.zeros(histories.num_customers)
    np.maximum.at(oldest, customer, age)
    latest = np.full(histories.num_customers, np.inf)
    np.minimum.at(latest, customer, age)
    num_gaps = np.maximum(histories.num_orders - 1, 0)
    known = np.where(num_gaps > 0, oldest - np.minimum(latest, oldest), 0.0)
    found: np.ndarray = (known + usual_days) / (num_gaps + 1)
    return found


def fit_repurchase(
    histories: Histories, *, half_life_days: float, bump: float, repeat_power: float
) -> Repurchase:
    """Intervals of each item, shrunk to those of all."""
    _, item, log_gap = gaps(histories)
    num_items = histories.num_items
    count = np.bincount(item, minlength=num_items)
    mean = log_gap.mean() if len(log_gap) else np.log(30.0)
    spread = log_gap.var() if len(log_gap) > 1 else 1.0
    first = np.bincount(item, log_gap, minlength=num_items) + PRIOR_GAPS * mean
    second = np.bincount(item, log_gap**2, minlength=num_items)
    second = second + PRIOR_GAPS * (spread + mean**2)
    by_item = first / (count + PRIOR_GAPS)
    variance = second / (count + PRIOR_GAPS) - by_item**2
    bought = np.bincount(histories.item, minlength=num_items)
    share = (len(log_gap) + 1) / (len(histories.item) + 2)
    return Repurchase(
        log_gap=by_item,
        variance=np.maximum(variance, LEAST_VARIANCE),
        repeated=(count + PRIOR_GAPS * share) / (bought + PRIOR_GAPS),
        visit_gap_days=usual_visit_gap(histories),
        half_life_days=half_life_days,
        bump=bump,
        repeat_power=repeat_power,
    )


def usual_visit_gap(histories: Histories) -> float:
    """The mean days between successive orders of a customer; 30 where nobody ordered twice."""
    firsts = histories.orders
    is_same = np.diff(histories.customer[firsts]) == 0
    days = -np.diff(histories.age_days[firsts])[is_same]
    return float(days.mean()) if len(days) else 30.0
