"""Buy-till-you-die models of how often customers buy and when they leave, behind one small interface.

Frequency is the number of repeat order days, recency the time from the first to the last order day,
age the time from the first order day to the cutoff. Recency, age and horizons share one unit, and
any unit will do.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import polars as pl

from lifecycle.btyd import beta_geometric, pareto_nbd
from lifecycle.btyd.beta_geometric import BetaGeometricNbd, fit_beta_geometric
from lifecycle.btyd.pareto_nbd import ParetoNbd, fit_pareto_nbd

PurchaseModel = BetaGeometricNbd | ParetoNbd
# frequency, age and horizon to a number of each customer that is active at the cutoff; the arguments broadcast
IfActive = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
NODES, WEIGHTS = np.polynomial.legendre.leggauss(8)  # on [-1, 1]; leaves an error below 1e-6
LEAST = 1e-100  # orders, so that their square is not 0
FEW = 1000  # customers among whom it does not pay to look for equal ones


def fit_purchases(
    name: str, frequency: np.ndarray, recency: np.ndarray, age: np.ndarray, *, penalty: float = 0.0
) -> PurchaseModel:
    """The model called bgnbd, mbgnbd or pareto_nbd, fitted to customers' summaries (n,) by maximum likelihood.

    `penalty` times the sum of squared logarithms of the scaled parameters is added to the mean
    negative log-likelihood. Raises ValueError where a summary is impossible or nobody ordered
    twice.
    """
    match name:
        case "bgnbd":
            return fit_beta_geometric(frequency, recency, age, first_chances=0, penalty=penalty)
        case "mbgnbd":
            return fit_beta_geometric(frequency, recency, age, first_chances=1, penalty=penalty)
        case "pareto_nbd":
            return fit_pareto_nbd(frequency, recency, age, penalty=penalty)
    raise ValueError(f"there is no purchase model {name!r}; models are bgnbd, mbgnbd, pareto_nbd")


def probability_active(
    model: PurchaseModel, frequency: np.ndarray, recency: np.ndarray, age: np.ndarray
) -> np.ndarray:
    """Probability, shape (n,), that a customer has not left by the cutoff."""
    frequency, recency, age = (
        np.asarray(column, dtype=np.float64) for column in (frequency, recency, age)
    )
    if isinstance(model, ParetoNbd):
        return pareto_nbd.probability_active(model, frequency, recency, age)
    return beta_geometric.probability_active(model, frequency, recency, age)


def expected_purchases(
    model: PurchaseModel,
    frequency: np.ndarray,
    recency: np.ndarray,
    age: np.ndarray,
    horizon: float,
) -> np.ndarray:
    """Expected order days, shape (n,), in the `horizon` after the cutoff."""
    return cumulative_purchases(model, frequency, recency, age, np.array([horizon]))[:, 0]


def cumulative_purchases(
    model: PurchaseModel,
    frequency: np.ndarray,
    recency: np.ndarray,
    age: np.ndarray,
    horizons: np.ndarray,
) -> np.ndarray:
    """Expected order days, shape (n, k), up to each of the k ascending `horizons` after the cutoff."""
    curve = _once_per_pair(_purchases(model), frequency, age, horizons)
    curve *= probability_active(model, frequency, recency, age)[:, None]
    return np.maximum.accumulate(curve, axis=1, out=curve)


def relative_square(
    model: PurchaseModel,
    frequency: np.ndarray,
    age: np.ndarray,
    horizon: float,
    *,
    within: float,
) -> np.ndarray:
    """How uncertain the spend of those is who order in the `horizon` after the cutoff, shape (n,).

    It is E[N (N - 1) + (1 + within) N | N > 0] / E[N | N > 0]^2 of the N order days, the mean
    square of spend over its squared mean, where order values of one customer have the squared
    coefficient of variation `within`. Whoever orders is active, so that recency has no part in it.
    """

    def ratio(x: np.ndarray, now: np.ndarray, ahead: np.ndarray) -> np.ndarray:
        orders = np.maximum(_purchases(model)(x, now, ahead), LEAST)
        square = purchase_pairs(model, x, now, ahead) + (1.0 + within) * orders
        will_order = 1.0 - _silence(model)(x, now, ahead)
        found: np.ndarray = will_order * square / orders**2
        return found

    return _once_per_pair(ratio, frequency, age, np.array([horizon]))[:, 0]


def purchase_pairs(
    model: PurchaseModel, frequency: np.ndarray, age: np.ndarray, horizon: np.ndarray
) -> np.ndarray:
    """E[N (N - 1)] of the order days of a customer active at the cutoff; the arguments broadcast.

    An order makes 2 N new ordered pairs with the N before it. Who orders at rate l and leaves after
    an order with probability p has E[N; active] = l t (1 - p) exp(-l p t), so that pairs grow by
    2 t l^2 (1 - p) exp(-l p t); of Pareto/NBD, by 2 t l^2 exp(-m t). Gauss-Legendre over the
    logarithm of time sums the mean of that over l, p and m.
    """
    now = model.alpha + age
    length = np.log1p(horizon / now)
    pairs = np.zeros(np.broadcast_shapes(np.shape(frequency), length.shape))
    positions = NODES.reshape(-1, *(1,) * length.ndim)
    elapsed = np.expm1(length * (positions + 1.0) / 2.0)
    ahead = now * elapsed
    rates = _squared_rate(model)(frequency, age, ahead)  # of all nodes at once, added one by one
    for weight, passed, reached, rate in zip(WEIGHTS, elapsed, ahead, rates, strict=True):
        pairs += weight * length * now * (1.0 + passed) * reached * rate
    return pairs


def survival(
    model: PurchaseModel,
    frequency: np.ndarray,
    recency: np.ndarray,
    age: np.ndarray,
    horizons: np.ndarray,
) -> np.ndarray:
    """Probability, shape (n, k), of being a customer still at each of the k ascending `horizons` after the cutoff."""
    curve = _once_per_pair(_survival(model), frequency, age, horizons)
    curve *= probability_active(model, frequency, recency, age)[:, None]
    return np.minimum.accumulate(curve, axis=1, out=curve)


def probability_no_purchase(
    model: PurchaseModel,
    frequency: np.ndarray,
    recency: np.ndarray,
    age: np.ndarray,
    horizon: float,
) -> np.ndarray:
    """Probability, shape (n,), of no order in the `horizon` after the cutoff: left already, or active and silent."""
    active = probability_active(model, frequency, recency, age)
    silent = _once_per_pair(_silence(model), frequency, age, np.array([horizon]))[:, 0]
    unlikely: np.ndarray = active * silent + (1.0 - active)
    return unlikely


def _squared_rate(model: PurchaseModel) -> IfActive:
    if isinstance(model, ParetoNbd):
        return partial(pareto_nbd.squared_rate_if_active, model)
    return partial(beta_geometric.squared_rate_if_active, model)


def _purchases(model: PurchaseModel) -> IfActive:
    if isinstance(model, ParetoNbd):
        return partial(pareto_nbd.purchases_if_active, model)
    return partial(beta_geometric.purchases_if_active, model)


def _survival(model: PurchaseModel) -> IfActive:
    if isinstance(model, ParetoNbd):
        return partial(pareto_nbd.survival_if_active, model)
    return partial(beta_geometric.survival_if_active, model)


def _silence(model: PurchaseModel) -> IfActive:
    if isinstance(model, ParetoNbd):
        return partial(pareto_nbd.silence_if_active, model)
    return partial(beta_geometric.silence_if_active, model)


def _once_per_pair(
    function: IfActive, frequency: np.ndarray, age: np.ndarray, horizons: np.ndarray
) -> np.ndarray:
    """What `function` says of each customer at each horizon, shape (n, k).

    Recency tells whether a customer is active and nothing else, so that customers of one frequency
    and age share a row: of a million with ages in days some ten thousand rows are left.
    """
    ahead = np.asarray(horizons, dtype=np.float64)[None, :]
    if len(frequency) <= FEW:
        x, now = (np.asarray(column, dtype=np.float64)[:, None] for column in (frequency, age))
        return np.array(function(x, now, ahead))
    pairs = pl.DataFrame({"frequency": frequency, "age": age}).cast(pl.Float64)
    distinct = pairs.unique().with_row_index("row")
    row = pairs.join(distinct, on=pairs.columns, how="left", maintain_order="left")["row"]
    x, now = (distinct[name].to_numpy()[:, None] for name in pairs.columns)
    values: np.ndarray = function(x, now, ahead)[row.to_numpy()]
    return values
