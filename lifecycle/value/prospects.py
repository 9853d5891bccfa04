"""People the shop knows but who have not bought yet: how many buy within the horizon, and what they spend.

Two groups have rates of their own: those in touch with the shop in the last RECENT_DAYS, and the
silent ones. A group's rate is shrunk to that of both together, which counts as much as
PRIOR_CUSTOMERS of the group.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from lifecycle.features.numbers import CONTACT_KINDS, RECENT_DAYS
from lifecycle.value.intervals import Intervals, bounds, fit_intervals

CONTACTS = tuple(f"{kind}_{RECENT_DAYS}d" for kind in CONTACT_KINDS)
PRIOR_CUSTOMERS = 50
Bounds = dict[float, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class ProspectRates:
    """Of the silent (position 0) and those in touch (position 1), over one horizon."""

    conversion: tuple[float, float]  # share that buys
    spend: tuple[float, float]  # mean of all of them, in currency
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
    """1 for those in touch lately, 0 for the silent, shape (n,)."""
    in_touch = pl.any_horizontal(pl.col(name).fill_null(0) > 0 for name in CONTACTS)
    return rows.select(in_touch).to_series().to_numpy().astype(int)


def _shrunk_means(group: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    overall = float(values.mean())
    silent, in_touch = (
        (float(values[group == number].sum()) + PRIOR_CUSTOMERS * overall)
        / ((group == number).sum() + PRIOR_CUSTOMERS)
        for number in (0, 1)
    )
    return float(silent), float(in_touch)
