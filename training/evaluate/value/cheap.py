"""The models that fit in seconds, each fitted for the test, for the selection and for the backtest customers."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import polars as pl
from lightgbm import Booster

from lifecycle.btyd.model import Btyd, btyd_churn, btyd_value, fit_btyd
from lifecycle.names import BGNBD, BTYD_MODELS, HURDLE, LIGHTGBM, STACK, ZILN
from lifecycle.spend.baselines import persistence
from lifecycle.spend.hurdle import Hurdle, fit_hurdle, hurdle_churn, hurdle_value
from lifecycle.spend.stack import Stack, fit_stack, stack_value
from lifecycle.spend.trees import fit_lightgbm, lightgbm_value
from training.evaluate.value.entries import Entry, Leaving
from training.evaluate.value.windows import ExampleSets, Window

if TYPE_CHECKING:
    from lifecycle.spend.dense_ziln import DenseZiln


logger = logging.getLogger(__name__)
Model = TypeVar("Model")
NEED_SPEND = (LIGHTGBM, HURDLE, ZILN, STACK)
Predictor = Callable[[pl.DataFrame], np.ndarray]  # rows of customers to one number of each
Prediction = Callable[[Model, pl.DataFrame], np.ndarray]


@dataclass(frozen=True)
class Fitted:
    """The cheap models by the artifact's names; None: not asked for, or no training row spends anything."""

    btyd_models: dict[str, Btyd]  # empty: too few customers have bought again
    lightgbm: Booster | None = None
    hurdle: Hurdle | None = None
    ziln: "DenseZiln | None" = None
    stack: Stack | None = None


def cheap_entries(
    sets: ExampleSets, models: tuple[str, ...], seed: int
) -> tuple[dict[str, Entry], Fitted]:
    """The models asked for. BTYD is fitted in any case: it says how the champion's total is spread over periods."""
    entries: dict[str, Entry] = {}
    if "persistence" in models:
        entries["persistence"], _ = _enter(
            lambda _: persistence, lambda model, rows: model(rows), sets
        )
    btyd_models = _enter_btyd(entries, sets, models)
    if not sets.train["target"].sum() > 0:
        if left_out := [name for name in NEED_SPEND if name in models]:
            logger.warning(
                "left out: %s, since no training row spends anything", ", ".join(left_out)
            )
        return entries, Fitted(btyd_models)
    trees = hurdle = ziln = stack = None
    if LIGHTGBM in models:
        entries[LIGHTGBM], trees = _enter(
            lambda window: fit_lightgbm(window.train, seed=seed), lightgbm_value, sets
        )
    if HURDLE in models:
        fit = partial(_fit_hurdle, seed=seed)
        entries[HURDLE], hurdle = _enter(fit, hurdle_value, sets, hurdle_churn)
    if ZILN in models:
        entries[ZILN], ziln = _ziln_entry(sets, seed)
    if STACK in models:
        entries[STACK], stack = _enter(partial(_fit_stack, seed=seed), stack_value, sets)
    return entries, Fitted(btyd_models, trees, hurdle, ziln, stack)


def _fit_hurdle(window: Window, seed: int) -> Hurdle:
    return fit_hurdle(window.train, seed=seed)


def _fit_stack(window: Window, seed: int) -> Stack:
    return fit_stack(window.train, window.known, window.horizon_days, seed=seed)


def _enter_btyd(
    entries: dict[str, Entry], sets: ExampleSets, models: tuple[str, ...]
) -> dict[str, Btyd]:
    """Add the BTYD models asked for to the entries; they are fitted to the customers known at a cutoff."""
    wanted = [name for name in BTYD_MODELS if name in models]
    needed = [name for name in BTYD_MODELS if name in wanted or (name == BGNBD and STACK in models)]
    now = fit_btyd_models(sets.for_test, needed or BTYD_MODELS[:1])
    if now and wanted:
        windows = [
            sets.for_test,
            sets.for_selection,
            *([sets.backtest.for_test] if sets.backtest else []),
        ]
        fitted = [now, *(fit_btyd_models(window, wanted) for window in windows[1:])]
        for name in fitted[1]:
            there = [
                (models[name], window.horizon_days)
                for window, models in zip(windows, fitted, strict=True)
                if name in models
            ]
            value, churn = (
                [partial(function, model, horizon_days=days) for model, days in there]
                for function in (btyd_value, btyd_churn)
            )
            entries[name] = replace(_entry(value, sets), leaving=_leaving(churn, sets))
    return now


def fit_btyd_models(window: Window, names: Sequence[str]) -> dict[str, Btyd]:
    """The BTYD models `names` of the customers known in a window; none, with a warning, where they do not fit."""
    try:
        models = fit_btyd(window.known, names)
    except ValueError as error:
        logger.warning("left out: %s, since %s", ", ".join(names), error)
        return {}
    for name, model in models.items():
        for report in (model.purchases.report, model.values.report):
            if not report.converged:
                logger.warning("%s: %s", name, report.message)
    return models


def fit_table(models: dict[str, Btyd]) -> dict[str, dict[str, object]]:
    """`btyd_fits` of metrics.json: by model, of purchases and of order values, parameters and how the fit ended."""
    return {
        name: {
            part: asdict(fit)
            for part, fit in (("purchases", model.purchases), ("order_values", model.values))
        }
        for name, model in models.items()
    }


def _ziln_entry(sets: ExampleSets, seed: int) -> tuple[Entry, "DenseZiln"]:
    from lifecycle.spend.dense_ziln import dense_ziln_value, fit_dense_ziln  # imports torch

    def fit(window: Window) -> "DenseZiln":
        assert window.scale is not None
        return fit_dense_ziln(window.train, window.scale, seed=seed)

    return _enter(fit, dense_ziln_value, sets)


def _enter(
    fit: Callable[[Window], Model],
    value: Prediction[Model],
    sets: ExampleSets,
    churn: Prediction[Model] | None = None,
) -> tuple[Entry, Model]:
    """A model's entry, and the model as it is served."""
    models = [
        fit(sets.for_test),
        fit(sets.for_selection),
        *([fit(sets.backtest.for_test)] if sets.backtest else []),
    ]
    entry = _entry([partial(value, model) for model in models], sets)
    if churn is not None:
        entry = replace(entry, leaving=_leaving([partial(churn, model) for model in models], sets))
    return entry, models[0]


def _entry(predictors: Sequence[Predictor], sets: ExampleSets) -> Entry:
    """What a model predicts, as it was fitted for the test, for the selection and, if it was, for the backtest."""
    now, earlier, *before = predictors
    now(sets.test.head(1))  # what happens once only, such as starting threads, is not speed
    started_at = time.perf_counter()
    test = now(sets.test)
    speed = sets.test.height / max(time.perf_counter() - started_at, 1e-9)
    backtest = before[0](sets.backtest.test) if before and sets.backtest else None
    return Entry(earlier(sets.selection), test, speed, backtest)


def _leaving(predictors: Sequence[Predictor], sets: ExampleSets) -> Leaving:
    now, earlier, *before = predictors
    backtest = before[0](sets.backtest.test) if before and sets.backtest else None
    return Leaving(earlier(sets.selection), now(sets.test), backtest)
