"""Base models whose tensors, tokenizer and configuration do not fit each other are refused before they are loaded."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lifecycle.llama.base_model.loading import check_loading, check_settings
from lifecycle.llama.decoder import load_decoder, load_tokenizer
from lifecycle.llama.language_model import load_causal_model
from lifecycle.llama.lora import LoraSettings
from tests.builders import decoder
from tests.lifecycle.llama.base_model.folders import Change, Weights, holds, says, weighs

UP = "model.layers.1.mlp.up_proj.weight"
TOKENS = "tokenizer_config.json"


def without_up(weights: Weights) -> Weights:
    return {name: values for name, values in weights.items() if name != UP}


def narrower(weights: Weights) -> Weights:
    return weights | {UP: np.zeros((100, 64), np.float32)}


def with_token(folder: Path) -> None:
    """A token is added to the tokenizer, and no row to the embedding."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    added = tokenizer["added_tokens"][0] | {"id": 259, "content": "<new>"}
    tokenizer["added_tokens"].append(added)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (weighs(without_up), f"lacks {UP}, which config.json calls for; copy the whole model"),
        (
            weighs(narrower),
            rf"{UP} has the shape \(100, 64\), config.json says \(128, 64\); take config.json and",
        ),
        (says(num_hidden_layers=3), "lacks model.layers.2.input_layernorm.weight, .* and 6 more"),
        (says(num_hidden_layers=1), "has model.layers.1.* more, which config.json does not call"),
        (says(vocab_size=300), r"has the shape \(259, 64\), config.json says \(300, 64\)"),
        (says(tie_word_embeddings=False), "lacks lm_head.weight, which config.json calls for"),
        (says(hidden_size="wide"), "config.json does not say how to build its model: .* got str"),
        (says(hidden_act="nope"), "config.json does not say how to build its model: .*'nope'"),
        (
            says(model_type="bert"),
            "is no causal decoder of text: config.json has model_type 'bert'",
        ),
        (says(num_attention_heads=0), "config.json does not say how to build its model: ZeroDiv"),
        (says(pad_token_id=9999), "config.json does not say how to build its model: .*adding_idx"),
        (says(vocab_size=0), "config.json does not say how to build its model: IndexError"),
        (says(model_type="t5"), "is no causal decoder of text: config.json has model_type 't5'"),
        (says(model_type=None), "is no causal decoder of text: config.json has model_type None"),
        (
            with_token,
            r"the tokenizer's '<new>' is number 259, but the embedding has 259 rows \(0 to 258\)",
        ),
        (
            says(TOKENS, pad_token=None, eos_token=None),
            "has neither pad_token nor eos_token; say in its tokenizer_config.json which token ends",
        ),
        (holds("tokenizer.json", b"{}"), "the tokenizer of .* cannot be read"),
    ],
)
def test_base_model_whose_parts_do_not_fit_is_refused(
    folder: Path, change: Change, message: str
) -> None:
    change(folder)
    with pytest.raises(ValueError, match=message) as caught:
        check_loading(folder, with_head=True)
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "lora", "message"),
    [
        ({"num_layers": 3}, None, "num_layers is 3; base model .* has 2 layers"),
        ({"max_tokens": 1025}, None, "max_tokens is 1025, but base model .* has 1024 positions"),
        ({}, LoraSettings(num_layers=5), "lora.num_layers is 5; the base model has 2 layers"),
        ({}, LoraSettings(targets=("c_attn",)), r"lora.targets are \['c_attn'\]; .*'q_proj'"),
    ],
)
def test_recipe_that_asks_for_what_a_base_model_has_not_is_refused(
    tiny_base_model: Path, settings: dict[str, int], lora: LoraSettings | None, message: str
) -> None:
    asked = replace(decoder(tiny_base_model), **settings)
    with pytest.raises(ValueError, match=message) as told:
        check_settings(asked, lora)
    assert "\n" not in str(told.value)


def test_recipe_that_fits_is_taken(tiny_base_model: Path, gpt2_base_model: Path) -> None:
    check_settings(replace(decoder(tiny_base_model), max_tokens=1024), LoraSettings(num_layers=2))
    check_settings(
        replace(decoder(gpt2_base_model), max_tokens=8), LoraSettings(targets=("c_attn",))
    )


def test_decoder_without_a_head_reads_prompts_and_does_not_write(folder: Path) -> None:
    says(tie_word_embeddings=False)(folder)
    check_loading(folder, with_head=False)


def test_other_decoders_are_taken(gpt2_base_model: Path) -> None:
    check_loading(gpt2_base_model, with_head=True)


def test_tokenizer_without_a_pad_token_pads_with_its_end_token(folder: Path) -> None:
    says(TOKENS, pad_token=None)(folder)
    check_loading(folder, with_head=True)
    assert load_tokenizer(folder).pad_token == "</s>"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_named_while_loading(folder: Path, value: float) -> None:
    def damaged(weights: Weights) -> Weights:
        weights[UP][3, 4:6] = value
        return weights

    weighs(damaged)(folder)
    check_loading(folder, with_head=True)
    rule = f"has {value} in 2 of 8192 weights; they must be finite: copy the model anew"
    with pytest.raises(ValueError, match=f"{folder}: {UP} {rule}"):
        load_causal_model(folder, "eager", torch.float32)
    with pytest.raises(ValueError, match=f"{folder}: {UP.removeprefix('model.')} {rule}"):
        load_decoder(decoder(folder), torch.bfloat16)
