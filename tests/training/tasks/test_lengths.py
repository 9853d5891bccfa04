"""Texts that do not fit are found before a worker starts."""

from pathlib import Path

import pytest

from tests.builders import TinyShop, turns, write_conversations
from training.tasks.lengths import check_longest
from training.tasks.recipes.sft import SftRecipe
from training.tasks.recipes.text import TextRecipe


def test_conversation_that_is_too_long_is_named_among_thousands(
    tiny_chat_model: Path, tmp_path: Path
) -> None:
    spoken = [turns(f"hello {number}", "good") for number in range(300)]
    path = write_conversations(tmp_path / "talk.jsonl", *spoken, turns("y" * 500, "good"), *spoken)
    recipe = SftRecipe(
        conversations=path,
        adapter="mood",
        base_model=str(tiny_chat_model),
        max_tokens=100,
        output=tmp_path,
    )
    with pytest.raises(
        ValueError, match=r"max_tokens is 100, but .*talk.jsonl, line 301 has 5\d\d"
    ):
        check_longest(recipe)
    check_longest(recipe.model_copy(update={"max_tokens": 600}))


def test_broken_chat_template_is_told(tiny_chat_model: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    for file in tiny_chat_model.iterdir():
        (base / file.name).write_bytes(file.read_bytes())
    (base / "chat_template.jinja").write_text("{{ broken")
    path = write_conversations(tmp_path / "talk.jsonl", turns("hello", "good"), turns("a", "b"))
    recipe = SftRecipe(conversations=path, adapter="mood", base_model=str(base), output=tmp_path)
    with pytest.raises(ValueError, match="line 1: the chat template of .* refuses it: unexpected"):
        check_longest(recipe)


def test_prompts_that_are_too_long_are_refused(
    tiny_shop: TinyShop, tiny_base_model: Path, tmp_path: Path
) -> None:
    recipe = TextRecipe(
        data=tiny_shop.data,
        examples=tiny_shop.examples,
        base_model=str(tiny_base_model),
        max_tokens=50,
        output=tmp_path,
    )
    with pytest.raises(ValueError, match=r"max_tokens is 50, but a prompt has \d+ tokens"):
        check_longest(recipe)
    check_longest(recipe.model_copy(update={"max_tokens": 320}))
