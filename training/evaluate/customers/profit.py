"""Profit within the horizon: what customers went on to bring and to cost, beside what was expected."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl

from lifecycle.artifact.answers import values_for
from lifecycle.artifact.contents import Artifact
from lifecycle.events.schema import is_purchase
from lifecycle.events.shards import shard_paths
from lifecycle.features.numbers import MARKETING_KINDS
from lifecycle.value.costs import CostRate, CostRates
from lifecycle.value.formula import ClvSettings
from training.evaluate.value.windows import ExampleSets, target_of
from training.results.customers import Profit, ProfitPart, Revenue

COSTS = {  # part of a value: the name of its rate, and what its events cost, see `_cost_sums`
    "refunds": ("refunds", "total_refunded"),
    "goods_cost": ("goods", "total_goods_cost"),
    "service_cost": ("service", "total_service_cost"),
    "marketing_cost": ("marketing", "total_marketing_cost"),
}


def judge_profit(
    artifact: Artifact, sets: ExampleSets, predicted: np.ndarray, data: Path
) -> Profit:
    """`profit` of metrics.json: by part of the value, and of their sum, how the test customers' horizon went.

    `predicted` (n,) is the champion's expected spend. Each part has predicted and actual total,
    their ratio `bias` and the mean absolute error per customer; of costs also `mae_average_rate`,
    that of the shop's average rate for everybody in place of each customer's own. A cost that the
    data do not hold is None and no part of the profit: the recipe's default cannot be judged.
    Nothing is discounted.
    """
    actual = actual_costs(sets.test, sets.horizon_days, data) | {"revenue": target_of(sets.test)}
    own = _expected(artifact, sets, predicted)
    average = _expected(_with_average_rates(artifact), sets, predicted)
    rates = artifact.settings.costs
    known = [
        name
        for name, (rate, _) in COSTS.items()
        if getattr(rates, rate).is_learned or actual[name].any()
    ]
    for each in (actual, own, average):
        each["profit"] = each["revenue"] - sum(each[name] for name in known)
    parts: dict[str, ProfitPart | None] = dict.fromkeys(COSTS)
    for name in (*known, "profit"):
        revenue = _compared(own[name], actual[name])
        average_error = _mae(average[name], actual[name])
        parts[name] = ProfitPart(**vars(revenue), mae_average_rate=average_error)
    revenue = _compared(own["revenue"], actual["revenue"])
    return Profit.model_validate({"revenue": revenue, **parts})


def actual_costs(test: pl.DataFrame, horizon_days: int, data: Path) -> dict[str, np.ndarray]:
    """What each of the customers `test` cost within the horizon, arrays (n,) by part."""
    [cutoff] = test["cutoff"].unique()
    within = pl.col("occurred_at").is_between(
        cutoff, cutoff + timedelta(days=horizon_days), closed="left"
    )
    events = pl.scan_parquet(shard_paths(data)).filter(within)
    sums = events.group_by("customer_id").agg(_cost_sums()).collect()
    found = (
        test.select("customer_id")
        .join(sums, on="customer_id", how="left", maintain_order="left")
        .fill_null(0.0)
    )
    return {name: found[column].to_numpy() for name, (_, column) in COSTS.items()}


def _cost_sums() -> list[pl.Expr]:
    """Money that went out in a group of events, positive, as the features of the same names count it."""
    cost = pl.col("cost")
    is_marketing = pl.col("kind").is_in(MARKETING_KINDS)
    is_service = ~is_purchase() & ~is_marketing
    return [
        (-pl.col("amount").filter(pl.col("kind") == "refund").sum()).alias("total_refunded"),
        cost.filter(is_purchase()).sum().alias("total_goods_cost"),
        cost.filter(is_service).sum().alias("total_service_cost"),
        cost.filter(is_marketing).sum().alias("total_marketing_cost"),
    ]


def _expected(
    artifact: Artifact, sets: ExampleSets, predicted: np.ndarray
) -> dict[str, np.ndarray]:
    """The parts of the value of one period as long as the horizon, arrays (n,)."""
    horizon = ClvSettings(period_days=sets.horizon_days, num_periods=1, annual_discount_rate=0.0)
    values = values_for(
        replace(artifact, settings=replace(artifact.settings, clv=horizon)), sets.test, predicted
    )
    return {name: getattr(values, name) for name in ("revenue", *COSTS)}


def _with_average_rates(artifact: Artifact) -> Artifact:
    """The artifact of a shop that does not tell its customers' costs apart."""
    costs = artifact.settings.costs
    shared = {name: CostRate(getattr(costs, name).rate, False) for name, _ in COSTS.values()}
    average = CostRates(**shared, mean_spend=costs.mean_spend)
    return replace(artifact, settings=replace(artifact.settings, costs=average))


def _compared(predicted: np.ndarray, actual: np.ndarray) -> Revenue:
    total = float(predicted.sum())
    came = float(actual.sum())
    bias = total / came if came > 0 else None
    return Revenue(predicted=total, actual=came, bias=bias, mae=_mae(predicted, actual))


def _mae(predicted: np.ndarray, actual: np.ndarray) -> float:
    return float(np.abs(predicted - actual).mean())
