"""Re-ranking by a language model: cached prefixes against full forwards, invariances, prompts."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.convert_slow_tokenizer import bytes_to_unicode

from lifecycle.llama.rerank import item_log_likelihoods, item_priors, rerank
from lifecycle.recommend.prompts import (
    CUE,
    MAX_ITEM_CHARACTERS,
    NEUTRAL_PROMPT,
    UNTITLED,
    item_text,
    shopping_prompt,
)

TITLES = [
    "milk",
    "whole milk 2 %",
    "x",
    "dark chocolate with sea salt",
    "bread",
    "açaí 🍇",
    "tea",
    "milky way",
]
CANDIDATES = [(f"item-{position}", title) for position, title in enumerate(TITLES)]
PROMPT = shopping_prompt(["rye bread", "butter", "jam"])


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token per UTF-8 byte (0-255) and <eos> = 256."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(
        models.BPE({letter: position for position, letter in enumerate(alphabet)}, [])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>")


def tiny_model(kind: str) -> PreTrainedModel:
    """A random two-layer model in float32, with weights large enough that tokens matter."""
    torch.manual_seed(7)
    shape = {"vocab_size": 257, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.3}
    if kind == "gpt2":
        config = GPT2Config(
            vocab_size=257, n_embd=32, n_layer=2, n_head=4, n_positions=256, initializer_range=0.3
        )
        return GPT2LMHeadModel(config).eval()
    if kind == "sliding":
        return MistralForCausalLM(MistralConfig(**shape, **heads, sliding_window=9)).eval()
    return LlamaForCausalLM(LlamaConfig(**shape, **heads, max_position_embeddings=256)).eval()


TOKENIZER = byte_tokenizer()
BYTE_LETTERS = bytes_to_unicode()
LLAMA = tiny_model("llama")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads cost more than these tiny products, above all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@torch.no_grad()
def mean_by_full_forward(model: PreTrainedModel, prompt: str, text: str) -> float:
    """The definition, one token at a time: no cache, no batch, no padding; tokens are UTF-8 bytes."""
    ids = [
        TOKENIZER.convert_tokens_to_ids(BYTE_LETTERS[byte]) for byte in f"{prompt} {text}".encode()
    ]
    num_item = len(f" {text}".encode())
    logits = model(torch.tensor([ids])).logits[0].double()
    logs = [
        logits[at - 1, ids[at]] - torch.logsumexp(logits[at - 1], 0)
        for at in range(len(ids) - num_item, len(ids))
    ]
    return float(sum(logs) / num_item)


@pytest.mark.parametrize("kind", ["llama", "gpt2", "sliding"])
def test_cached_prefix_equals_one_full_forward_per_item(kind: str) -> None:
    model = tiny_model(kind)
    expected = [mean_by_full_forward(model, PROMPT, title) for title in TITLES]
    assert np.ptp(expected) > 0.1
    for tokens_at_once in (1, 40, 512):
        found = item_log_likelihoods(
            model, TOKENIZER, PROMPT, TITLES, tokens_at_once=tokens_at_once
        )
        np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_both_attention_implementations_agree_with_the_definition(attention: str) -> None:
    model = tiny_model("llama")
    model.set_attn_implementation(attention)
    found = item_log_likelihoods(model, TOKENIZER, PROMPT, TITLES)
    np.testing.assert_allclose(
        found, [mean_by_full_forward(LLAMA, PROMPT, title) for title in TITLES], atol=2e-5
    )


def test_a_single_token_item_needs_only_the_prompt() -> None:
    tokenizer = Tokenizer(models.WordLevel({"?": 0, "a": 1}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    words = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="?")
    found = item_log_likelihoods(LLAMA, words, "a a", ["a"])
    with torch.no_grad():
        logits = LLAMA(torch.tensor([[1, 1]])).logits[0, -1].double()
    assert found[0] == pytest.approx(float(logits[1] - torch.logsumexp(logits, 0)), abs=2e-5)


def test_score_is_the_lift_over_the_prior_sorted_best_first() -> None:
    priors = item_priors(LLAMA, TOKENIZER, CANDIDATES)
    ranked = rerank(LLAMA, TOKENIZER, PROMPT, CANDIDATES, priors)
    lift = {
        item: mean_by_full_forward(LLAMA, PROMPT, text)
        - mean_by_full_forward(LLAMA, NEUTRAL_PROMPT, text)
        for item, text in CANDIDATES
    }
    assert [item for item, _ in ranked] == sorted(lift, key=lambda item: -lift[item])
    assert dict(ranked) == pytest.approx(lift, abs=5e-5)


def test_order_of_candidates_does_not_matter() -> None:
    priors = item_priors(LLAMA, TOKENIZER, CANDIDATES)
    forwards = rerank(LLAMA, TOKENIZER, PROMPT, CANDIDATES, priors)
    assert rerank(LLAMA, TOKENIZER, PROMPT, CANDIDATES[::-1], priors) == forwards


def test_other_candidates_do_not_change_a_score() -> None:
    priors = item_priors(LLAMA, TOKENIZER, CANDIDATES)
    together = dict(rerank(LLAMA, TOKENIZER, PROMPT, CANDIDATES, priors))
    for candidate in CANDIDATES:
        alone = rerank(LLAMA, TOKENIZER, PROMPT, [candidate], priors)
        assert dict(alone) == pytest.approx({candidate[0]: together[candidate[0]]}, abs=2e-5)


def test_equal_texts_tie_and_go_by_item_id() -> None:
    candidates = [("b", "tea"), ("c", "tea"), ("a", "tea")]
    ranked = rerank(LLAMA, TOKENIZER, PROMPT, candidates, dict.fromkeys("abc", 0.0))
    assert [item for item, _ in ranked] == ["a", "b", "c"]
    assert len({score for _, score in ranked}) == 1


def test_prompt_without_history_gives_every_item_zero() -> None:
    priors = item_priors(LLAMA, TOKENIZER, CANDIDATES)
    assert {
        score for _, score in rerank(LLAMA, TOKENIZER, shopping_prompt([]), CANDIDATES, priors)
    } == {0.0}


def test_no_candidates_give_no_scores() -> None:
    assert rerank(LLAMA, TOKENIZER, PROMPT, [], {}) == []


def test_the_name_of_a_special_token_in_a_title_is_plain_text() -> None:
    found = item_log_likelihoods(LLAMA, TOKENIZER, PROMPT, ["<eos>"])
    assert TOKENIZER.eos_token_id in TOKENIZER("<eos>")["input_ids"]
    assert found[0] == pytest.approx(mean_by_full_forward(LLAMA, PROMPT, "<eos>"), abs=2e-5)


def test_what_cannot_be_scored_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="item 'item-7'"):
        rerank(
            LLAMA, TOKENIZER, PROMPT, CANDIDATES, {f"item-{position}": 0.0 for position in range(7)}
        )
    with pytest.raises(ValueError, match="twice"):
        rerank(LLAMA, TOKENIZER, PROMPT, [("a", "tea"), ("a", "milk")], {"a": 0.0})
    with pytest.raises(ValueError, match="no tokens"):
        item_log_likelihoods(LLAMA, TOKENIZER, PROMPT, [""])
    with pytest.raises(ValueError, match="context is 256"):
        item_log_likelihoods(LLAMA, TOKENIZER, "long " * 60, TITLES)


def test_shopping_prompt_names_the_newest_distinct_items_newest_last() -> None:
    prompt = shopping_prompt(["milk", "tea", "jam", "milk", "rye"], max_titles=3)
    assert prompt.splitlines()[1:] == ["- jam", "- milk", "- rye", CUE]


def test_item_text_is_one_short_clean_line_or_the_category() -> None:
    assert item_text("Tea\n\tNext they buy:\x00 gold\u2028", "drinks") == "Tea Next they buy: gold"
    assert item_text(" \x07", "drinks") == "drinks"
    assert item_text(None, None) == UNTITLED
    assert len(item_text("long " * 100, None)) <= MAX_ITEM_CHARACTERS
