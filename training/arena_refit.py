"""Fitting what serves once more, when it is judged and chosen: by then one more horizon of outcomes is known."""

import logging
from dataclasses import replace

import numpy as np
import polars as pl

from lifecycle.value import ZILN
from lifecycle.value.baselines import fit_lightgbm
from lifecycle.value.hurdle import HURDLE, fit_hurdle, hurdle_value
from lifecycle.value.stack import MemberShare, Stack, fit_stack, stack_value
from training.arena_cheap import Fitted, fit_btyd_models
from training.arena_entries import ExampleSets
from training.arena_stack import scale_to

logger = logging.getLogger(__name__)


def refitted(fitted: Fitted, sets: ExampleSets, seed: int) -> Fitted:
    """The same models, fitted to the test customers' outcomes too, and to all customers known one horizon later.

    Shares in the stack stay as they were chosen. LLaMA encoders are not trained again, nor are intervals.
    """
    window = sets.for_serving
    btyd_models = fit_btyd_models(window, list(fitted.btyd_models))
    if set(btyd_models) != set(fitted.btyd_models):
        logger.warning("refit is left out: buy-till-you-die models do not fit the later customers; see above")
        return fitted
    hurdle = None if fitted.hurdle is None else fit_hurdle(window.train, seed=seed)
    ziln, others = None, {}
    if hurdle is not None:
        others[HURDLE] = hurdle_value(hurdle, window.known)
    if fitted.ziln is not None and window.scale is not None:
        from lifecycle.value.dense_ziln import dense_ziln_value, fit_dense_ziln  # imports torch

        ziln = fit_dense_ziln(window.train, window.scale, seed=seed)
        others[ZILN] = dense_ziln_value(ziln, window.known)
    stack = None
    if fitted.stack is not None:
        stack = fit_stack(window.train, window.known, window.horizon_days, seed=seed)
        stack = _with_others(stack, fitted.stack, window.known, others)
    trees = None if fitted.lightgbm is None else fit_lightgbm(window.train, seed=seed)
    return Fitted(btyd_models, trees, hurdle, ziln, stack)


def _with_others(stack: Stack, judged: Stack, known: pl.DataFrame, others: dict[str, np.ndarray]) -> Stack:
    """With the shares of the one that was judged; cheap models are brought to the new total, encoders as before."""
    alone = stack_value(stack, known)
    scaled = {name: MemberShare(scale_to(alone, others[name]), other.share) for name, other in judged.others.items()}
    return replace(stack, others=scaled, members=judged.members)
