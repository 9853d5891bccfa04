"""Recipes of the arena: names that nobody knows are refused."""

from pathlib import Path

import pytest

from training.evaluate.recipe import SHIPPED, EvaluateConfig


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


def test_a_table_of_actions_is_a_file_or_one_that_is_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    places = {"data": Path("a"), "examples": Path("b"), "output": Path("c")}

    def table(name: str) -> Path:
        return EvaluateConfig.model_validate(places | {"actions": name}).actions

    assert table("bank_actions.csv") == SHIPPED / "bank_actions.csv"
    assert table("mine.csv") == Path("mine.csv")
    (tmp_path / "bank_actions.csv").touch()
    assert table("bank_actions.csv") == Path("bank_actions.csv")
