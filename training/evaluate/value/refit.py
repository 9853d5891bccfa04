"""Fitting what serves once more, when it is judged and chosen: by then one more horizon of outcomes is known."""

from dataclasses import replace
from pathlib import Path

import polars as pl

from lifecycle.spend.model import Past
from lifecycle.spend.models import SpendModels
from lifecycle.spend.stack import MemberShare, Stack, stack_value
from training.evaluate.season.forecast import season_for
from training.evaluate.value.convergence import tell_problems
from training.evaluate.value.stack import scale_to
from training.evaluate.value.windows import ExampleSets


def refitted(
    judged: SpendModels, sets: ExampleSets, latest: pl.DataFrame, seed: int, data: Path
) -> SpendModels:
    """The same models, fitted to the outcomes of the test customers too, with the season from there on.

    `latest` has all customers as they were known where those outcomes end, `data` is the ingest
    folder. Shares in the stack stay as they were chosen. What learns from this can no longer be
    judged.
    """
    rows = pl.concat([sets.train, sets.selection, sets.test])
    past = Past(rows, latest, sets.horizon_days, sets.scale)
    again = SpendModels.fit(past, judged.names, seed=seed)
    tell_problems({"what serves": again}, known=judged)
    season = season_for(again, data, latest, sets.horizon_days)
    again = again.brought_to(season, latest)
    if judged.stack is None or again.stack is None:
        return again
    return replace(again, stack=_rejoined(judged.stack, again, again.stack, latest, sets.test))


def _rejoined(
    judged: Stack, again: SpendModels, stack: Stack, latest: pl.DataFrame, test: pl.DataFrame
) -> Stack:
    """Models that joined keep their shares and are brought to the new total: encoders by what it is of `test`."""
    alone = stack_value(stack, latest)
    others: dict[str, MemberShare] = {}
    for name, joined in judged.others.items():
        scale = scale_to(alone, again.expected_spend(name, latest))
        others[name] = MemberShare(scale, joined.share)
    before = stack_value(replace(judged, others={}), test)
    change = scale_to(stack_value(stack, test), before)
    members = {
        name: replace(joined, scale=joined.scale * change)
        for name, joined in judged.members.items()
    }
    return replace(stack, others=others, members=members)
