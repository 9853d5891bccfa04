"""Runs whose frozen layers are kept on disk."""

from pathlib import Path

import pytest

from training.tasks.recipes.union import parse_recipe

TARGETS = {"tiny_base_model": ["q_proj", "up_proj"], "gpt2_base_model": ["c_attn", "c_proj"]}


def of_base(
    recipe: dict[str, object], base: str, request: pytest.FixtureRequest
) -> dict[str, object]:
    """The recipe for one of the two base models."""
    lora = recipe["lora"]
    assert isinstance(lora, dict)
    return recipe | {
        "base_model": str(request.getfixturevalue(base)),
        "lora": lora | {"targets": TARGETS[base]},
    }


def settings_of(recipe: dict[str, object]) -> dict[str, object]:
    """What a worker gets; the folder that its driver makes is there."""
    config = parse_recipe(recipe)
    config.output.mkdir(parents=True, exist_ok=True)
    return config.model_dump(mode="json")


def complete_shares(cache: Path) -> set[Path]:
    """The folders that would be read."""
    return {path.parent for path in cache.glob("*/*/manifest.json")}
