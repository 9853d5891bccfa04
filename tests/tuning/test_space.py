"""The search space: every key, type and combination is checked before a search starts."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from training.tasks.recipes.union import TrainConfig, load_recipe, parse_recipe
from tuning.space import Range, Tree, check_space, decoded, point_of, recipe_with, with_values


def base_recipe(**changes: object) -> TrainConfig:
    recipe = {
        "data": "d",
        "examples": "e",
        "base_model": "b",
        "output": "o",
        "lora": {"rank": 8, "alpha": 16},
    }
    return parse_recipe(recipe | changes)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"uniform": [0, 1], "choice": [1]},
        {"uniform": [2, 1]},
        {"loguniform": [0, 1]},
        {"int": [1.5, 2]},
        {"choice": []},
        {"normal": [0, 1]},
    ],
)
def test_range_that_makes_no_sense_is_refused(values: Tree) -> None:
    with pytest.raises(ValidationError):
        Range.model_validate(values)


def test_yaml_numbers_without_a_dot_are_numbers() -> None:
    assert Range.model_validate({"loguniform": ["1e-4", "1e-2"]}).ends == (1e-4, 1e-2)


@pytest.mark.parametrize(
    ("space", "named"),
    [
        (
            {"optimizer.learning_rte": {"uniform": [0.1, 0.2]}},
            "unknown key 'optimizer.learning_rte'",
        ),
        ({"optimiser": {"choice": [1]}}, "unknown key 'optimiser'"),
        ({"lora.rank": {"uniform": [4, 32]}}, "lora.rank is"),  # a share of a rank
        ({"lora.rank": {"int": [0, 8]}}, "lora.rank is 0"),
        ({"zero.stage": {"choice": [2, 4]}}, "zero.stage is 4"),
        ({"attention": {"choice": ["eager", "flash"]}}, "attention is 'flash'"),
        ({"max_tokens.left": {"choice": [1]}}, "max_tokens.left"),
        ({"output": {"choice": ["a"]}}, "output"),
        ({"validation_rows": {"int": [10, 20]}}, "validation_rows"),
        ({"seed": {"int": [1, 3]}}, "seed"),
        ({"tracking.experiment": {"choice": ["a", "b"]}}, "tracking"),
    ],
)
def test_bad_key_or_type_is_named(space: dict[str, Tree], named: str) -> None:
    ranges = {dotted: Range.model_validate(values) for dotted, values in space.items()}
    with pytest.raises(ValueError, match=named):
        check_space(base_recipe(), ranges, {})


def test_combination_that_no_recipe_accepts_is_refused() -> None:
    space = {
        "micro_batch": Range.model_validate({"choice": [8, 16]}),
        "global_batch": Range.model_validate({"choice": [32, 48]}),  # 48 is no multiple of 16 x 2
    }
    with pytest.raises(ValueError, match="global_batch is 48"):
        check_space(base_recipe(), space, {})
    check_space(base_recipe(), space, {"num_workers": 1})


def test_bad_override_is_named() -> None:
    with pytest.raises(ValueError, match="max_step"):
        check_space(base_recipe(), {}, {"max_step": 3})
    with pytest.raises(ValueError, match="output"):
        check_space(base_recipe(), {}, {"output": "elsewhere"})


def test_key_cannot_be_both_searched_and_set() -> None:
    space = {"lora.rank": Range.model_validate({"int": [2, 4]})}
    with pytest.raises(ValueError, match="space.lora.rank is also set"):
        check_space(base_recipe(), space, {"lora.rank": 3})
    check_space(base_recipe(), space, {"lora": {"alpha": 3}})


def test_key_below_null_is_refused() -> None:
    with pytest.raises(ValueError, match="lora is None"):
        recipe_with(base_recipe(lora=None), {"lora.rank": 3})


def test_mapping_is_merged_and_the_original_is_left_alone() -> None:
    tree: Tree = {"optimizer": {"learning_rate": 1.0, "clip_norm": 2.0}}
    changed = with_values(tree, {"optimizer": {"learning_rate": 3.0}, "lora.rank": 4})
    assert changed == {"optimizer": {"learning_rate": 3.0, "clip_norm": 2.0}, "lora": {"rank": 4}}
    assert tree == {"optimizer": {"learning_rate": 1.0, "clip_norm": 2.0}}


def test_choice_is_searched_by_position() -> None:
    targets = [["q_proj"], ["q_proj", "v_proj"]]
    space = {
        "lora.targets": Range.model_validate({"choice": targets}),
        "optimizer.learning_rate": Range.model_validate({"loguniform": [1e-4, 1e-2]}),
    }
    base = base_recipe(lora={"targets": ["q_proj", "v_proj"]})
    point = point_of(space, base)
    assert point == {"lora.targets": 1, "optimizer.learning_rate": 5e-4}
    assert recipe_with(base, decoded(space, point)) == base
    assert recipe_with(base, decoded(space, point | {"lora.targets": 0})).lora.targets == (
        "q_proj",
    )  # type: ignore[union-attr]


def test_recipe_outside_the_space_is_no_point() -> None:
    assert point_of({"lora.rank": Range.model_validate({"choice": [1, 2]})}, base_recipe()) is None
    assert point_of({"lora.rank": Range.model_validate({"int": [8, 9]})}, base_recipe()) == {
        "lora.rank": 8
    }


def test_recipe_saves_and_loads_with_values(tmp_path: Path) -> None:
    recipe_with(base_recipe(), {"optimizer.learning_rate": 1e-5}).save(tmp_path / "best.yaml")
    assert load_recipe(tmp_path / "best.yaml").optimizer.learning_rate == 1e-5
