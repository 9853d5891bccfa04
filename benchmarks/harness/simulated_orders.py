"""Customers simulated from the BG/NBD and Gamma-Gamma of CDNOW; first purchases are spread over two years."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from lifecycle.btyd.beta_geometric import BetaGeometricNbd, fit_beta_geometric
from lifecycle.btyd.gamma_gamma import GammaGamma, fit_gamma_gamma

CDNOW = "package:lifetimes/datasets/cdnow_customers_summary_with_transactions.csv"
SEED = 7
NUM_DAYS = 730
SECONDS_PER_DAY = 86_400
CUTOFF = datetime(2024, 1, 1, tzinfo=UTC)
SMALLEST = 1e-12  # rate, and probability of leaving


def fit_cdnow(source: Path) -> tuple[BetaGeometricNbd, GammaGamma]:
    """The models of CDNOW's 1/10 sample, in days."""
    table = pl.read_csv(source)
    frequency = table["x"].to_numpy()
    purchases = fit_beta_geometric(
        frequency, 7 * table["t_x"].to_numpy(), 7 * table["T"].to_numpy(), first_chances=0
    )
    return purchases, fit_gamma_gamma(frequency, table["zbar"].to_numpy())


def simulate(purchases: BetaGeometricNbd, values: GammaGamma, num_customers: int) -> pl.DataFrame:
    """Orders in random sequence: customer_id (a number), cutoff, occurred_at and amount."""
    random = np.random.default_rng(SEED)
    customer, day = _order_days(random, purchases, num_customers)
    scale = random.gamma(values.q, 1.0 / values.v, num_customers)
    amount = random.gamma(values.p, 1.0 / scale[customer])
    orders = pl.DataFrame(
        {
            "customer_id": customer,
            "cutoff": pl.repeat(CUTOFF, len(customer), dtype=pl.Datetime("us", "UTC"), eager=True),
            "occurred_at": _instants(day),
            "amount": amount,
        }
    )
    return orders.sample(fraction=1.0, shuffle=True, seed=SEED)


def _order_days(
    random: np.random.Generator, purchases: BetaGeometricNbd, num_customers: int
) -> tuple[np.ndarray, np.ndarray]:
    """The customer and the day of each order, each (n,)."""
    first = random.uniform(0, NUM_DAYS, num_customers)
    rate = np.maximum(random.gamma(purchases.r, 1.0 / purchases.alpha, num_customers), SMALLEST)
    leaving = np.maximum(random.beta(purchases.a, purchases.b, num_customers), SMALLEST)
    num_repeats = random.geometric(leaving)  # until the customer leaves
    buying = np.arange(num_customers)
    now = first
    customers = [buying]
    days = [first]
    number = 0
    while len(buying):
        number += 1
        now = now + random.exponential(1.0 / rate[buying])
        in_time = now < NUM_DAYS
        buying = buying[in_time]
        now = now[in_time]
        customers.append(buying)
        days.append(now)
        stays = num_repeats[buying] > number
        buying = buying[stays]
        now = now[stays]
    return np.concatenate(customers), np.concatenate(days)


def _instants(day: np.ndarray) -> pl.Series:
    seconds = (day * SECONDS_PER_DAY).astype(np.int64)
    within = np.minimum(seconds, NUM_DAYS * SECONDS_PER_DAY - 1)
    start = np.datetime64(CUTOFF.replace(tzinfo=None), "us") - np.timedelta64(NUM_DAYS, "D")
    return pl.Series(start + within.astype("timedelta64[s]")).dt.replace_time_zone("UTC")
