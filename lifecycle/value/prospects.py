"""People the shop knows but who have not bought yet: how many buy within the horizon, and what they spend.

Three groups have rates of their own: those who began a trial in the last RECENT_DAYS, those in touch
with the shop in that time, and the silent, who cancelled among them. A group's rate is shrunk to
that of all together, which counts as much as PRIOR_CUSTOMERS of the group.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from lifecycle.features.numbers import CONTACT_KINDS, RECENT_DAYS
from lifecycle.value.intervals import Intervals, bounds, fit_intervals
from lifecycle.value.standing import numbers

SILENT = 0
IN_TOUCH = 1
IN_TRIAL = 2
CONTACTS = tuple(f"{kind}_{RECENT_DAYS}d" for kind in CONTACT_KINDS)
PRIOR_CUSTOMERS = 50
Bounds = dict[float, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class ProspectRates:
    """Of the groups, in the order SILENT, IN_TOUCH and IN_TRIAL, over one horizon."""

    conversion: tuple[float, ...]  # share that buys
    spend: tuple[float, ...]  # mean of all of them, in currency
    order_value: float
    intervals: Intervals


def fit_prospects(rows: pl.DataFrame) -> ProspectRates | None:
    """Rates from prospects at past cutoffs, with the columns of the examples; None where the shop had none."""
    if rows.is_empty():
        return None
    group = _group(rows)
    spend = rows["target"].to_numpy().astype(float)
    orders = rows["num_orders_ahead"].to_numpy()
    mean_spend = _shrunk_means(group, spend)
    return ProspectRates(
        conversion=_shrunk_means(group, orders > 0),
        spend=mean_spend,
        # Finite orders where nobody paid.
        order_value=max(float(spend.sum()) / max(int(orders.sum()), 1), 0.01),
        intervals=fit_intervals(np.array(mean_spend)[group], spend),
    )


def prospect_conversion(rates: ProspectRates | None, examples: pl.DataFrame) -> np.ndarray:
    """Probability of a purchase within the horizon, shape (n,); 0 where the shop has never had prospects."""
    return (
        np.zeros(examples.height) if rates is None else np.array(rates.conversion)[_group(examples)]
    )


def prospect_spend(
    rates: ProspectRates | None, examples: pl.DataFrame
) -> tuple[np.ndarray, Bounds]:
    """Expected spend over the horizon, shape (n,), and its ends by level."""
    if rates is None:
        nothing = np.zeros(examples.height)
        return nothing, {0.8: (nothing, nothing), 0.95: (nothing, nothing)}
    expected = np.array(rates.spend)[_group(examples)]
    return expected, bounds(rates.intervals, expected)


def _group(rows: pl.DataFrame) -> np.ndarray:
    """SILENT, IN_TOUCH or IN_TRIAL, shape (n,). Who cancelled, or got money back for what we do not know, is silent."""
    in_touch = pl.any_horizontal(pl.col(name).fill_null(0) > 0 for name in CONTACTS)
    has_left = ~np.isnan(numbers(rows, "cancelled_days")) | has_bought_before(rows)
    found = {
        SILENT: has_left,
        IN_TRIAL: numbers(rows, "trial_days") <= RECENT_DAYS,
        IN_TOUCH: rows.select(in_touch).to_series().to_numpy(),
    }
    return np.select(list(found.values()), list(found), default=SILENT)


def has_bought_before(rows: pl.DataFrame) -> np.ndarray:
    """Who is known by refunds, and not by what these took back: it was bought before the data begin, shape (n,)."""
    unknown = (pl.col("num_orders") == 0) & (pl.col("total_refunded") > 0)
    return rows.select(unknown.fill_null(False)).to_series().to_numpy()


def _shrunk_means(group: np.ndarray, values: np.ndarray) -> tuple[float, ...]:
    overall = float(values.mean())
    means = (
        (float(values[group == number].sum()) + PRIOR_CUSTOMERS * overall)
        / ((group == number).sum() + PRIOR_CUSTOMERS)
        for number in (SILENT, IN_TOUCH, IN_TRIAL)
    )
    return tuple(float(mean) for mean in means)
