"""Hidden groups: whom the sequence encoder takes for alike, how stable they are, and what tells them apart."""

import numpy as np
import polars as pl
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler

from training.results.customers import HiddenGroup, HiddenGroups

NUM_GROUPS = range(3, 9)
NUM_HALVES = 10
NUM_DIMENSIONS = 10  # of the states, which k-means sees
MIN_CUSTOMERS = 100
NUM_TRAITS = 3
TRAITS = {
    "num_orders": "orders so far",
    "orders_91d": "orders in 91 days",
    "recency_days": "days since the last order",
    "tenure_days": "days since the first order",
    "mean_gap_days": "days between orders",
    "mean_order_value": "spend per order",
    "mean_lines": "lines per order",
    "num_distinct_items": "different items",
    "total_discount": "discounts so far",
}


def hidden_groups(
    states: np.ndarray, customers: pl.DataFrame, seed: int
) -> tuple[HiddenGroups, np.ndarray] | None:
    """`groups` of metrics.json, and the number of each customer's among them, from 0, (n,).

    From the encoder's states (n, hidden) of customers with FEATURES, target and predicted.

    k-means on the leading principal components; the number of groups is the one that comes out most
    alike when only half of the customers are known. Stability is the mean adjusted Rand index of
    that, 1 for the same groups and 0 for chance (Hubert and Arabie 1985; Ben-Hur, Elisseeff and
    Guyon 2002). None for fewer than MIN_CUSTOMERS.
    """
    if len(states) < MIN_CUSTOMERS:
        return None
    scaled = StandardScaler().fit_transform(states)
    points = PCA(min(NUM_DIMENSIONS, scaled.shape[1]), random_state=seed).fit_transform(scaled)
    stability = {number: _stability(points, number, seed) for number in NUM_GROUPS}
    best = max(stability, key=lambda number: stability[number])
    group = KMeans(best, n_init=10, random_state=seed).fit_predict(points)
    found = np.unique(group)  # fewer where states are equal
    means = [customers["predicted"].to_numpy()[group == number].mean() for number in found]
    ordered = found[np.argsort(means)[::-1]]
    described = HiddenGroups(
        stability=stability[best],
        stability_by_number={str(number): found for number, found in stability.items()},
        groups=[_described(customers, group == number) for number in ordered],
    )
    return described, np.argmax(group[:, None] == ordered, axis=1)


def _stability(points: np.ndarray, number: int, seed: int) -> float:
    random = np.random.default_rng(seed)
    whole = KMeans(number, n_init=5, random_state=seed).fit_predict(points)
    scores = []
    for _ in range(NUM_HALVES):
        half = random.permutation(len(points))[: len(points) // 2]
        of_half = KMeans(number, n_init=5, random_state=seed).fit(points[half])
        scores.append(adjusted_rand_score(whole, of_half.predict(points)))
    return float(np.mean(scores))


def _described(customers: pl.DataFrame, here: np.ndarray) -> HiddenGroup:
    """Size, predicted and actual spend of a group, and its traits that lie furthest from everybody's, in words."""
    distances = {}
    words = {}
    for name, said in TRAITS.items():
        values = customers[name].to_numpy()
        spread = np.nanstd(values)
        if spread > 0 and not np.isnan(values[here]).all():
            own = np.nanmean(values[here])
            usual = np.nanmean(values)
            distances[name] = abs(own - usual) / spread
            words[name] = f"{said} {own:.3g} (all: {usual:.3g})"
    strongest = sorted(distances, key=lambda name: -distances[name])[:NUM_TRAITS]
    return HiddenGroup(
        num_customers=int(here.sum()),
        predicted=float(customers["predicted"].to_numpy()[here].mean()),
        actual=float(customers["target"].to_numpy()[here].mean()),
        description="; ".join(words[name] for name in strongest),
    )
