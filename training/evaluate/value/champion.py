"""Which model becomes champion, by windows before the test cutoff."""

from collections.abc import Mapping
from datetime import datetime

import polars as pl

from lifecycle.names import STACK, STACK_OVER_BUDGET, STACK_WITHOUT_LLAMA
from lifecycle.spend.support import value_model_rules
from training.evaluate.value.comparison import (
    BIAS_RANGE,
    Comparison,
    in_backtest,
    in_same_season,
    on_selection,
    pooled,
)
from training.evaluate.value.forecasts import Forecast
from training.evaluate.value.windows import ExampleSets
from training.results.value import Selection

NOTHING: Mapping[str, str] = {}


def unsupported_models(sets: ExampleSets, first_event_at: datetime) -> dict[str, str]:
    """The models for which the customers known at the latest training cutoff are too few, and why.

    ValueError where not one customer has come back by the test cutoff: then no model can say who
    will.
    """
    if not (sets.test["num_order_days"] > 1).any():
        raise ValueError(
            f"none of {sets.test.height} customers has purchases on 2 days, so that nothing can be said of "
            "their value: is the customer's id new for each order?"
        )
    rows = sets.for_test.train.filter(pl.col("cutoff") == pl.col("cutoff").max())
    num_repeat = rows.filter(pl.col("num_order_days") > 1).height
    days = (rows["cutoff"][0] - first_event_at).days
    told: dict[str, str] = {}
    for name, (holds, reason) in value_model_rules(rows.height, num_repeat, days).items():
        if not holds:
            told[name] = f"{reason} before the latest training cutoff"
    if STACK in told:
        told |= dict.fromkeys((STACK_WITHOUT_LLAMA, STACK_OVER_BUDGET), told[STACK])
    return told


def choose_champion(
    forecasts: Mapping[str, Forecast],
    sets: ExampleSets,
    budget: float | None,
    num_resamples: int,
    seed: int,
    unsupported: Mapping[str, str] = NOTHING,
) -> tuple[str, Selection]:
    """The stack, or the best of the models that are clearly better, by windows before the test cutoff.

    All are of fair bias and fast enough; without a stack it is the model of least RMSE. One window
    cannot tell models of nearly the same error apart: in shops with a few very large customers it
    is one of these that decides, and a blend is the least likely to be wrong.

    `unsupported` has models for which the data are too few, and why: they are chosen where there is
    no other.

    Models are compared in backtests, by what they predict at earlier test cutoffs from what was
    known there: that shows what time does to them. One lies a horizon before the test cutoff, the
    other a year, in the same season; they count alike, where all candidates were in both, else the
    first alone decides. A model that was not there is judged, not chosen: on the selection
    customers, at the same time as what it learned from, an encoder looked better than the stack
    that was far ahead of it one horizon later. Where the dates allow no backtest, all are compared
    on those customers.

    What the better half of the models, by RMSE, are biased by is the season's doing, not theirs:
    each bias is divided by their median. It is fair unless its 95 % interval then lies outside
    BIAS_RANGE: a few hundred customers do not tell 0.88 from 0.9. Equal RMSE: the lower decile
    MAPE. Where no bias is fair, the fairest. Returns its name and the numbers compared.
    """
    fast = _fast_enough(forecasts, budget)
    left_out = {name: unsupported[name] for name in forecasts if name in unsupported}
    eligible = [name for name in fast if name not in left_out] or fast
    selection = on_selection(forecasts, sets, num_resamples, seed)
    backtest = same_season = None
    if sets.backtest is not None:
        backtest = in_backtest(forecasts, sets.backtest, num_resamples, seed)
    if sets.same_season is not None:
        same_season = in_same_season(forecasts, sets.same_season, num_resamples, seed)
    decides = _deciding(eligible, selection, backtest, same_season, num_resamples, seed)
    names = [name for name in eligible if name in decides.rows]
    shared = decides.shared_bias()
    champion, better = decides.best(decides.candidates(names, shared))
    return champion, Selection(
        rule=_rule(decides.where, shared, has_stack=better is not None),
        clearly_better=better,
        num_customers=len(decides.actual),
        shared_bias=shared,
        unsupported=left_out,
        any_fair=any(decides.is_fair(name, shared) for name in names),
        models=selection.rows,
        backtest=None if backtest is None else backtest.rows or None,
        same_season=None if same_season is None else same_season.rows or None,
    )


def _rule(where: str, shared: float, *, has_stack: bool) -> str:
    """How the champion was chosen, in words."""
    low, high = BIAS_RANGE
    first = f"least RMSE {where}"
    if has_stack:
        first = f"the stack, unless others' squared errors {where} are clearly (90 %) lower, then least RMSE"
    return (
        f"{first}; among models whose bias there, over {shared:.3f} which the better half "
        f"share, may lie in {low}-{high} (95 % interval)"
    )


def _fast_enough(forecasts: Mapping[str, Forecast], budget: float | None) -> list[str]:
    fast = [
        name
        for name, one in forecasts.items()
        if budget is None or one.customers_per_second >= budget
    ]
    if not fast:
        raise ValueError(f"no model reaches score_budget_customers_per_second {budget}")
    return fast


def _deciding(
    eligible: list[str],
    selection: Comparison,
    backtest: Comparison | None,
    same_season: Comparison | None,
    num_resamples: int,
    seed: int,
) -> Comparison:
    """The customers on whom the eligible models are compared."""
    there = {name for name in eligible if backtest is not None and name in backtest.rows}
    if backtest is None or not there:
        return selection
    if same_season is None or not there <= set(same_season.rows):
        return backtest
    return pooled([backtest, same_season], num_resamples, seed)
