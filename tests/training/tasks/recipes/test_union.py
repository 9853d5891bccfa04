"""Any training recipe: told apart by task and encoder, with or without the keys of the others."""

import logging
from pathlib import Path

import pytest
import yaml

from tests.builders import value_recipe
from training.tasks.recipes.sequence import SequenceRecipe
from training.tasks.recipes.sft import SftRecipe
from training.tasks.recipes.text import TextRecipe
from training.tasks.recipes.union import load_recipe, parse_recipe

# The keys of every config.yaml, whatever its task, before each task had a recipe of its own.
FORMER_KEYS = {
    "task": "value",
    "data": None,
    "examples": None,
    "conversations": None,
    "validation_conversations": None,
    "adapter": None,
    "encoder": "text",
    "base_model": None,
    "num_layers": None,
    "lora": {
        "rank": 16,
        "alpha": 32.0,
        "dropout": 0.0,
        "targets": ["q_proj", "v_proj"],
        "num_layers": None,
    },
    "max_tokens": 160,
    "attention": "auto",
    "gradient_checkpointing": False,
    "activation_cache": None,
    "sequence": {
        "hidden_size": 32,
        "num_layers": 1,
        "num_heads": 4,
        "dropout": 0.0,
        "max_events": 256,
        "history_days": None,
    },
    "start_from": None,
    "next_event_weight": 0.1,
    "next_item_positions": 256,
    "output": "o",
}
OF_VALUE = {"data": "d", "examples": "e", "base_model": "b"}
OF_SFT = {"task": "sft", "conversations": "c.jsonl", "adapter": "service", "base_model": "b"}


@pytest.mark.parametrize(
    ("keys", "recipe_class"),
    [
        (OF_VALUE, TextRecipe),
        (OF_VALUE | {"task": "value", "encoder": "text"}, TextRecipe),
        (OF_VALUE | {"encoder": "sequence"}, SequenceRecipe),
        (OF_SFT, SftRecipe),
    ],
)
def test_task_and_encoder_say_which_recipe_it_is(
    keys: dict[str, object], recipe_class: type
) -> None:
    recipe = parse_recipe(keys | {"output": "o"})
    assert isinstance(recipe, recipe_class)
    assert parse_recipe(FORMER_KEYS | keys) == recipe


def test_saved_recipe_holds_the_keys_of_its_own_task_alone(tmp_path: Path) -> None:
    recipe = parse_recipe(FORMER_KEYS | OF_SFT)
    recipe.save(tmp_path / "saved.yaml")
    saved = yaml.safe_load((tmp_path / "saved.yaml").read_text())
    assert not saved.keys() & {"data", "examples", "num_layers", "sequence", "start_from"}
    assert load_recipe(tmp_path / "saved.yaml") == recipe


def test_settings_of_the_other_encoder_are_passed_over_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        recipe = parse_recipe(
            OF_VALUE | {"encoder": "sequence", "max_tokens": 99, "attention": "auto", "output": "o"}
        )
    assert isinstance(recipe, SequenceRecipe)
    assert [record.getMessage() for record in caplog.records] == [
        "task value with encoder sequence does not use max_tokens, which changes nothing"
    ]
    with pytest.raises(ValueError, match="max_tokens is 2: .* greater than or equal to 8"):
        parse_recipe(OF_VALUE | {"encoder": "sequence", "max_tokens": 2, "output": "o"})


def test_all_mistakes_are_named_with_their_file(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("data: d\nexamples: e\nbase_model: b\noutput: o\n")
    with pytest.raises(ValueError) as caught:
        load_recipe(tmp_path / "recipe.yaml", ["epochs=-1", "lora.rnk=3", "zero.stage=3"])
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'recipe.yaml'}: ")
    assert "epochs is -1" in message and "unknown key 'lora.rnk'" in message


def test_settings_of_another_process_have_absolute_paths() -> None:
    settings = value_recipe(output="/out", activation_cache=None).settings()
    assert settings["examples"] == str(Path("e").absolute())
    assert settings["base_model"] == str(Path("b").absolute())
    assert (settings["output"], settings["activation_cache"]) == ("/out", None)
    assert settings["optimizer"] == value_recipe().optimizer.model_dump(mode="json")
