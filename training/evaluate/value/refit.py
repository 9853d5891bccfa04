"""Fitting what serves once more, when it is judged and chosen: by then one more horizon of outcomes is known."""

from dataclasses import replace

import numpy as np
import polars as pl

from lifecycle.names import BGNBD, HURDLE, ZILN
from lifecycle.spend.hurdle import fit_hurdle, hurdle_value
from lifecycle.spend.stack import MemberShare, Stack, fit_stack, stack_value
from lifecycle.spend.trees import fit_lightgbm
from training.evaluate.value.cheap import Fitted, fit_btyd_models
from training.evaluate.value.stack import scale_to
from training.evaluate.value.windows import ExampleSets, Window


def refitted(fitted: Fitted, sets: ExampleSets, latest: pl.DataFrame, seed: int) -> Fitted:
    """The same models, fitted to the outcomes of the test customers too.

    `latest` has all customers as they were known where those outcomes end. Shares in the stack stay
    as they were chosen. What learns from this can no longer be judged.
    """
    window = Window(
        pl.concat([sets.train, sets.selection, sets.test]), latest, sets.horizon_days, sets.scale
    )
    by_others: dict[str, np.ndarray] = {}
    hurdle = ziln = None
    if fitted.hurdle is not None:
        hurdle = fit_hurdle(window.train, seed=seed)
        by_others[HURDLE] = hurdle_value(hurdle, latest)
    if fitted.ziln is not None and window.scale is not None:
        from lifecycle.spend.dense_ziln import dense_ziln_value, fit_dense_ziln  # imports torch

        ziln = fit_dense_ziln(window.train, window.scale, seed=seed)
        by_others[ZILN] = dense_ziln_value(ziln, latest)
    return Fitted(
        btyd_models=fit_btyd_models(window, list(fitted.btyd_models) or [BGNBD]),
        lightgbm=None if fitted.lightgbm is None else fit_lightgbm(window.train, seed=seed),
        hurdle=hurdle,
        ziln=ziln,
        stack=None
        if fitted.stack is None
        else _refitted_stack(fitted.stack, window, sets.test, by_others, seed),
    )


def _refitted_stack(
    judged: Stack, window: Window, test: pl.DataFrame, by_others: dict[str, np.ndarray], seed: int
) -> Stack:
    """Models that joined keep their shares and are brought to the new total: encoders by what it is of `test`."""
    stack = fit_stack(window.train, window.known, window.horizon_days, seed=seed)
    alone = stack_value(stack, window.known)
    others = {
        name: MemberShare(scale_to(alone, by_others[name]), joined.share)
        for name, joined in judged.others.items()
    }
    change = scale_to(stack_value(stack, test), stack_value(replace(judged, others={}), test))
    members = {
        name: replace(joined, scale=joined.scale * change)
        for name, joined in judged.members.items()
    }
    return replace(stack, others=others, members=members)
