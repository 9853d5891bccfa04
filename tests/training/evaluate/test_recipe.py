"""Recipes of the arena: names that nobody knows are refused."""

from pathlib import Path

import pytest

from training.evaluate.recipe import EvaluateConfig


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"models": ["lightgmb"]}, "no model 'lightgmb'"),
        ({"members": {"sequence": "x"}}, "no member 'sequence'"),
        ({"num_candidates": 10}, "num_candidates"),
    ],
)
def test_recipes_with_unknown_names_are_refused(change: dict[str, object], message: str) -> None:
    places = {"data": Path("a"), "examples": Path("b"), "output": Path("c")}
    with pytest.raises(ValueError, match=message):
        EvaluateConfig.model_validate(places | change)
