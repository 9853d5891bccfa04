"""How much a customer's own costs tell of its next ones beside the shop's average, by the backtest."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np

from lifecycle.value.costs import DAILY, CostDefaults, CostRates, customer_rates, fit_cost_rates
from training.evaluate.customers.profit import COSTS, actual_costs
from training.evaluate.value.windows import ExampleSets, target_of

logger = logging.getLogger(__name__)
# From "the shop's rate is everybody's" to "own costs count four times as much".
WEIGHTS = (0.0, 1 / 16, 1 / 4, 1.0, 4.0)
MIN_COSTLY = 50  # customers with such a cost in the backtest, for it to choose a weight


def with_weights(costs: CostRates, backtest: ExampleSets | None, data: Path) -> CostRates:
    """The rates with the weight of each cost that errs least over the backtest's horizon.

    What customers spent there is taken as known, so that costs alone are judged. Squared errors
    count by unit of spend, or of time: that of a mean, where the variance grows with either. The
    weight stays 1 where there is no backtest, or hardly anybody had such a cost in it.
    """
    if backtest is None:
        return costs
    then = fit_cost_rates(backtest.test, CostDefaults())
    spent = target_of(backtest.test)
    days = np.full(len(spent), float(backtest.horizon_days))
    actual = actual_costs(backtest.test, backtest.horizon_days, data)
    weights: dict[str, float] = {}
    for part, (name, _) in COSTS.items():
        if np.count_nonzero(actual[part]) < MIN_COSTLY or not getattr(then, name).is_learned:
            continue
        base = days if name in DAILY else spent
        errors = [_error(then, name, weight, backtest, base, actual[part]) for weight in WEIGHTS]
        weights[name] = WEIGHTS[int(np.argmin(errors))]
        logger.info("%s: customers' own costs count %s", name, f"{weights[name]:g}")
    found = {name: replace(getattr(costs, name), weight=weight) for name, weight in weights.items()}
    return replace(costs, **found)


def _error(
    costs: CostRates,
    name: str,
    weight: float,
    backtest: ExampleSets,
    base: np.ndarray,
    actual: np.ndarray,
) -> float:
    weighted = replace(costs, **{name: replace(getattr(costs, name), weight=weight)})
    expected = customer_rates(backtest.test, weighted)[name] * base
    known = base > 0
    return float(((expected - actual)[known] ** 2 / base[known]).sum())
