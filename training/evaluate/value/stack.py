"""What joins the stack: other cheap models, then LLaMA encoders; how much of each, and how fast it then is."""

import logging
from collections.abc import Collection
from dataclasses import replace

import numpy as np
import polars as pl

from lifecycle.names import HURDLE, MEMBERS, STACK, STACK_OVER_BUDGET, STACK_WITHOUT_LLAMA, ZILN
from lifecycle.spend.blend import blend, fit_shares, is_clearly_better
from lifecycle.spend.models import SpendModels
from lifecycle.spend.stack import MemberShare, Stack
from training.evaluate.value.forecasts import Forecast
from training.evaluate.value.windows import ExampleSets, target_of

logger = logging.getLogger(__name__)
OTHERS = (HURDLE, ZILN)


def join_others(
    forecasts: dict[str, Forecast], stack: Stack, sets: ExampleSets, left_out: Collection[str] = ()
) -> tuple[dict[str, Forecast], Stack]:
    """Blend OTHERS into the stack, with the shares that the backtest gives them; without one they have none."""
    others = {
        name: forecasts[name] for name in OTHERS if name in forecasts and name not in left_out
    }
    if not others or sets.backtest is None:
        return forecasts, stack
    joined, shares = _blended(forecasts[STACK], others, sets)
    return forecasts | {STACK: joined}, replace(stack, others=_with_a_share(shares))


def join_members(
    forecasts: dict[str, Forecast],
    stack: Stack,
    sets: ExampleSets,
    budget: float | None,
    left_out: Collection[str] = (),
) -> tuple[dict[str, Forecast], Stack]:
    """Blend the encoders among the forecasts into the stack, but for those `left_out`.

    `stack` becomes the blend and `stack_without_llama` what it was. Encoders with which it would
    score fewer customers per second than `budget` do not join; then `stack_over_budget` is the
    blend with all of them.
    """
    members = {
        name: forecasts[name] for name in MEMBERS if name in forecasts and name not in left_out
    }
    if not members:
        return forecasts, stack
    alone = forecasts[STACK]
    fast = _within(budget, alone, members)
    joined, shares = _blended(alone, fast, sets)
    result = forecasts | {STACK: joined, STACK_WITHOUT_LLAMA: alone}
    if len(fast) < len(members):
        over, _ = _blended(alone, members, sets)
        speed = _speed(alone, list(members.values()))  # all count, so that it is never chosen
        result[STACK_OVER_BUDGET] = replace(over, customers_per_second=speed)
    return result, replace(stack, members=_with_a_share(shares))


def members_with_season(
    forecasts: dict[str, Forecast], models: SpendModels, sets: ExampleSets
) -> tuple[dict[str, Forecast], SpendModels]:
    """Encoders by themselves with the total that all other models have where the season is known."""
    members = [name for name in MEMBERS if name in forecasts]
    if not models.season.is_known or not members:
        return forecasts, models
    right = models.expected_spend(models.names[0], sets.test)
    scales: dict[str, float] = {}
    result = dict(forecasts)
    for name in members:
        scales[name] = scale_to(right, forecasts[name].test)
        result[name] = replace(forecasts[name], test=scales[name] * forecasts[name].test)
    return result, models.with_scales(scales)


def _with_a_share(shares: dict[str, MemberShare]) -> dict[str, MemberShare]:
    return {name: model for name, model in shares.items() if model.share}


def _within(
    budget: float | None, alone: Forecast, members: dict[str, Forecast]
) -> dict[str, Forecast]:
    """The members left when the slowest are dropped until the stack scores as many customers a second as it must."""
    kept = sorted(members, key=lambda name: members[name].customers_per_second)
    while kept and budget and _speed(alone, [members[name] for name in kept]) < budget:
        logger.info("%s stays out of the stack: with it, it would be too slow", kept.pop(0))
    return {name: members[name] for name in members if name in kept}


def _speed(alone: Forecast, members: list[Forecast]) -> float:
    return 1.0 / sum(1.0 / one.customers_per_second for one in [alone, *members])


def _blended(
    alone: Forecast, members: dict[str, Forecast], sets: ExampleSets
) -> tuple[Forecast, dict[str, MemberShare]]:
    """The stack with these members, and their shares.

    Shares are learned in the backtest, which shows how members age; those that were not there then
    have none. Where none was there, they are learned from the selection customers. Where a blend is
    judged by those that shaped its shares, each gets the shares that the other folds give. Members
    have no share unless the blend's squared errors are then clearly below those of what they join:
    an encoder costs a hundred times as much to serve.
    """
    scaled = {
        name: one.selection * scale_to(alone.selection, one.selection)
        for name, one in members.items()
    }
    there = {name: one.backtest for name, one in members.items() if one.backtest is not None}
    before = backtest = alone.backtest
    if sets.backtest is not None and before is not None and there:
        _warn_of_absent(members, there)
        known = {name: values * scale_to(before, values) for name, values in there.items()}
        learned, backtest = _learned(before, known, sets.backtest.test)
        shares = dict.fromkeys(members, 0.0) | learned
        selection = blend(alone.selection, scaled, shares)
    else:
        shares, selection = _learned(alone.selection, scaled, sets.selection)
        backtest = None if any(shares.values()) else before  # without shares it is what it was
    found = {
        name: MemberShare(scale_to(alone.test, one.test), shares[name])
        for name, one in members.items()
    }
    on_test = {name: found[name].scale * one.test for name, one in members.items()}
    used = [one for name, one in members.items() if shares[name]]
    test = blend(alone.test, on_test, shares)
    same_season = _blended_then(alone, members, shares)
    return Forecast(selection, test, _speed(alone, used), backtest, same_season), found


def _blended_then(
    alone: Forecast, members: dict[str, Forecast], shares: dict[str, float]
) -> np.ndarray | None:
    """The blend in the same season a year earlier; None where one that has a share was not there."""
    before = alone.same_season
    used = {name: members[name].same_season for name, share in shares.items() if share}
    there = {name: values for name, values in used.items() if values is not None}
    if before is None or len(there) < len(used):
        return None
    scaled = {name: values * scale_to(before, values) for name, values in there.items()}
    return blend(before, scaled, {name: shares[name] for name in there})


def _warn_of_absent(members: Collection[str], there: Collection[str]) -> None:
    if absent := [name for name in members if name not in there]:
        told = ", ".join(absent)
        logger.warning("no share for %s: backtest_members has others, but not these", told)


def _learned(
    alone: np.ndarray, members: dict[str, np.ndarray], rows: pl.DataFrame
) -> tuple[dict[str, float], np.ndarray]:
    """The shares that the customers of `rows` give, and the blend of each by the shares that the other folds give."""
    actual = target_of(rows)
    fold = rows["fold"].to_numpy()
    blended = alone.copy()
    for number in np.unique(fold):
        own = fold == number
        shares = fit_shares(alone[~own], _of(members, ~own), actual[~own])
        blended[own] = blend(alone[own], _of(members, own), shares)
    if not is_clearly_better(blended, alone, actual):
        return dict.fromkeys(members, 0.0), alone
    return fit_shares(alone, members, actual), blended


def _of(members: dict[str, np.ndarray], here: np.ndarray) -> dict[str, np.ndarray]:
    """What members expect of some of the customers."""
    return {name: values[here] for name, values in members.items()}


def scale_to(alone: np.ndarray, member: np.ndarray) -> float:
    """What brings a member's total to that of what it joins; what anybody spent has no part in it."""
    total = float(member.sum())
    return float(alone.sum()) / total if total > 0 else 1.0
