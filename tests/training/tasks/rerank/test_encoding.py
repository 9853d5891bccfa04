"""Prompts and titles as tokens: what is learned is what re-ranking scores."""

from pathlib import Path

import pytest

from lifecycle.llama.decoder import load_tokenizer
from lifecycle.recommend.prompts import history_prompt
from training.tasks.rerank.encoding import encode_next_titles
from training.tasks.rerank.titles import NextTitle


def test_only_the_title_is_learned(tiny_base_model: Path) -> None:
    tokenizer = load_tokenizer(tiny_base_model)
    prompt = history_prompt(["a", "gone", "b"], {"a": "Green tea", "b": "Rye bread"})
    (found,) = encode_next_titles(tokenizer, [NextTitle(prompt, "Jam")], max_tokens=200)
    assert tokenizer.decode(found.ids) == f"{prompt} Jam"
    assert tokenizer.decode(found.ids[found.learned]) == " Jam"


def test_a_title_that_does_not_fit_is_refused(tiny_base_model: Path) -> None:
    tokenizer = load_tokenizer(tiny_base_model)
    with pytest.raises(ValueError, match="max_tokens is 8, but a prompt and its title have 13"):
        encode_next_titles(tokenizer, [NextTitle("You buy:", "Jam.")], max_tokens=8)
