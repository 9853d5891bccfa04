"""Orders of customers before their cutoffs, and what they say: recency, frequency, value, rhythm, season."""

from dataclasses import dataclass

import numpy as np

from lifecycle.events.timeline import DAY, Cutoffs, Timeline, age_days

WINDOWS_DAYS = (7, 14, 28, 56, 91, 182, 364)
BUCKET_DAYS = 28  # spend of each of the last NUM_BUCKETS four-week periods
NUM_BUCKETS = 6
NUM_LAST_ORDERS = 5
YEAR_DAYS = 364  # whole weeks, so that the same days of the week are compared


@dataclass(frozen=True)
class Orders:
    """k orders by cutoff and time, arrays (k,): the lines of one order key before the cutoff."""

    cutoff: np.ndarray  # its place among all
    at: np.ndarray  # of the first line, microseconds since 1970
    age_days: np.ndarray
    amount: np.ndarray  # before refunds, without cancelled lines
    gross: np.ndarray  # with them
    discount: np.ndarray  # without them
    num_lines: np.ndarray


def orders_at(lines: Timeline, cutoffs: Cutoffs) -> Orders:
    """The orders of purchased lines before each cutoff, oldest first."""
    # As a rule all lines of an order are of one instant, and so one row for every cutoff.
    first = _firsts(lines.customer, lines.at, lines.order, lines.cancelled_at)
    moments = lines.where(first)
    amount = np.add.reduceat(lines.amount, first)
    discount = np.add.reduceat(lines.discount, first)
    num_lines = np.diff(first, append=len(lines.at))
    place, cutoff = moments.known(cutoffs)
    by_order = np.lexsort((moments.order[place], cutoff))
    place, cutoff = place[by_order], cutoff[by_order]
    is_kept = moments.cancelled_at[place] >= cutoffs.at[cutoff]
    first = _firsts(cutoff, moments.order[place])
    at = moments.at[place][first]
    orders = Orders(
        cutoff=cutoff[first],
        at=at,
        age_days=age_days(at, cutoffs.at[cutoff[first]]),
        amount=np.add.reduceat(np.where(is_kept, amount[place], 0.0), first),
        gross=np.add.reduceat(amount[place], first),
        discount=np.add.reduceat(np.where(is_kept, discount[place], 0.0), first),
        num_lines=np.add.reduceat(num_lines[place], first),
    )
    by_time = np.lexsort((orders.at, orders.cutoff))
    return Orders(*(column[by_time] for column in vars(orders).values()))


def order_features(orders: Orders, cutoffs: Cutoffs, horizon_days: int) -> dict[str, np.ndarray]:
    """Recency, frequency, value, windows and season at n cutoffs, arrays (n,) by name; NaN is undefined."""
    size = len(cutoffs)
    age, amount, where = orders.age_days, orders.amount, orders.cutoff

    def number(rows: np.ndarray) -> np.ndarray:
        return np.bincount(where[rows], minlength=size)

    def spend(rows: np.ndarray) -> np.ndarray:
        return np.bincount(where[rows], amount[rows], size)

    count = np.bincount(where, minlength=size)
    total = np.bincount(where, amount, size)
    mean = divided(total, count)
    squares = np.bincount(where, (amount - mean[where]) ** 2, size)
    largest = np.full(size, -np.inf)
    np.maximum.at(largest, where, amount)
    newest = np.cumsum(count) - 1
    has_order = count > 0
    tenure = _taken(age, newest - count + 1, has_order)
    in_horizon = age <= horizon_days
    a_year_ago = (age > YEAR_DAYS - horizon_days) & (age <= YEAR_DAYS)  # the days of the horizon
    was_there = tenure >= YEAR_DAYS
    features = {
        "recency_days": _taken(age, newest, has_order),
        "tenure_days": tenure,
        "num_orders": count,
        "total_spend": total,
        "total_cancelled": np.bincount(where, orders.gross - amount, size),
        "total_discount": np.bincount(where, orders.discount, size),
        "mean_order_value": mean,
        "std_order_value": np.sqrt(divided(squares, count - 1)),
        "max_order_value": np.where(has_order, largest, np.nan),
        "mean_lines": divided(np.bincount(where, orders.num_lines, size), count),
        "orders_last_horizon": number(in_horizon),
        "spend_last_horizon": np.bincount(where[in_horizon], orders.gross[in_horizon], size),
        "year_ago_spend": np.where(was_there, spend(a_year_ago), np.nan),
        "year_ago_orders": np.where(was_there, number(a_year_ago), np.nan),
    }
    for days in WINDOWS_DAYS:
        features[f"orders_{days}d"] = number(age <= days)
        features[f"spend_{days}d"] = spend(age <= days)
    for bucket in range(NUM_BUCKETS):  # 0 is the newest
        end = BUCKET_DAYS * bucket
        features[f"spend_bucket_{bucket}"] = spend((age > end) & (age <= end + BUCKET_DAYS))
    for back in range(NUM_LAST_ORDERS):
        features[f"last_order_{back}_value"] = _taken(amount, newest - back, count > back)
    return features


def rhythm_features(orders: Orders, cutoffs: Cutoffs) -> dict[str, np.ndarray]:
    """Of the UTC days with orders: BTYD's summary, and the days between successive ones, arrays (n,) by name."""
    size = len(cutoffs)
    first = _firsts(orders.cutoff, orders.at // DAY)
    where, day = orders.cutoff[first], orders.at[first] // DAY
    num_days = np.bincount(where, minlength=size)
    newest = np.cumsum(num_days) - 1
    has_order = num_days > 0
    first_day = _taken(day, newest - num_days + 1, has_order)
    recency = _taken(day, newest, has_order) - first_day
    mean_gap = divided(recency, num_days - 1)
    is_gap = where[1:] == where[:-1]
    of = where[1:][is_gap]
    squares = np.bincount(of, (np.diff(day)[is_gap] - mean_gap[of]) ** 2, size)
    return {
        "num_order_days": num_days,
        "btyd_frequency": np.where(has_order, num_days - 1, np.nan),
        "btyd_recency": recency,
        "btyd_age": cutoffs.at // DAY - first_day,
        "mean_gap_days": mean_gap,
        "std_gap_days": np.sqrt(divided(squares, num_days - 2)),
    }


def divided(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """The ratio, NaN where the whole is not positive."""
    ratio = np.full(whole.shape, np.nan)
    np.divide(part, whole, out=ratio, where=whole > 0)
    return ratio


def _taken(values: np.ndarray, places: np.ndarray, is_there: np.ndarray) -> np.ndarray:
    """The values at places, NaN where there is none."""
    found = np.full(len(places), np.nan)
    found[is_there] = values[places[is_there]]
    return found


def _firsts(*columns: np.ndarray) -> np.ndarray:
    """Where a row differs from the one before it, the first included, ascending."""
    is_new = np.ones(len(columns[0]), dtype=bool)
    is_new[1:] = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    return np.flatnonzero(is_new)
