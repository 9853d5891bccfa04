"""`recommend_products` against likelihoods by whole forward passes, and what it refuses."""

from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lifecycle.llama.products import recommend_products
from lifecycle.recommend.prompts import CUE, NEUTRAL_PROMPT
from tests.lifecycle.llama.test_rerank import byte_tokenizer, tiny_model

PROFILE = "A cyclist who bought a helmet and gloves."
PRODUCTS = ["bicycle lamp", "rye bread", "cycling jersey", "tea", "rye bread"]


@pytest.fixture(scope="module")
def base_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with random weights."""
    folder = tmp_path_factory.mktemp("tiny")
    tiny_model("llama").save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


def mean_likelihood(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompt: str, text: str
) -> float:
    """Of the tokens of a text after a prompt, by one pass over both."""
    before = tokenizer(prompt)["input_ids"]
    tokens = tokenizer(f" {text}", add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([before + tokens])).logits[0]
    chances = torch.log_softmax(logits.float(), dim=-1)
    places = range(len(before) - 1, len(before) + len(tokens) - 1)
    return float(
        sum(chances[place, token] for place, token in zip(places, tokens, strict=True))
    ) / len(tokens)


def test_scores_are_what_the_profile_adds_to_the_likelihood(base_model: Path) -> None:
    found = recommend_products(PROFILE, PRODUCTS, 3, base_model=base_model)
    model, tokenizer = tiny_model("llama"), byte_tokenizer()
    expected = {
        text: mean_likelihood(model, tokenizer, f"{PROFILE}\n{CUE}", text)
        - mean_likelihood(model, tokenizer, NEUTRAL_PROMPT, text)
        for text in PRODUCTS
    }
    best = sorted(expected, key=lambda text: -expected[text])[:3]
    assert [text for text, _ in found] == best
    for text, score in found:
        assert score == pytest.approx(
            expected[text], abs=0.02
        )  # the model is loaded in half precision
    assert len(recommend_products(PROFILE, PRODUCTS, 10, base_model=base_model)) == 4


@pytest.mark.parametrize(
    ("profile", "descriptions", "top_k", "message"),
    [
        (" \n", PRODUCTS, 5, "profile is empty"),
        (PROFILE, [], 5, "no descriptions"),
        (PROFILE, PRODUCTS, 0, "top_k is 0"),
        (PROFILE, ["tea", " "], 5, "description 1 is empty"),
    ],
)
def test_what_cannot_be_ranked_is_refused(
    profile: str, descriptions: list[str], top_k: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        recommend_products(profile, descriptions, top_k)


def test_a_base_model_that_is_no_folder_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="gone' is not a folder with config.json"):
        recommend_products(PROFILE, PRODUCTS, base_model=tmp_path / "gone")
