"""Sizes of a model that is built on the meta device."""

from pathlib import Path

import pytest

from tests.builders import CATEGORIES, NUM_ITEMS, TinyShop
from tests.training.plan.published import (
    LLAMA31_8B,
    LLAMA31_8B_PARAMETERS,
    LLAMA32_1B,
    LLAMA32_1B_PARAMETERS,
    recipe,
)
from training.plan.meta_model import measure_model
from training.tasks.recipes.next_item import NextItemRecipe


def test_llama32_1b_has_its_published_parameters(tmp_path: Path) -> None:
    sizes = measure_model(recipe(tmp_path, LLAMA32_1B))
    assert sizes.decoder_parameters == LLAMA32_1B_PARAMETERS
    assert sizes.head_parameters == 3 * 2048 + 3
    assert sizes.adapter_parameters == 0
    assert sizes.trainable_parameters == LLAMA32_1B_PARAMETERS + 3 * 2048 + 3


def test_llama31_8b_has_its_published_parameters_without_the_language_model_head(
    tmp_path: Path,
) -> None:
    sizes = measure_model(recipe(tmp_path, LLAMA31_8B))
    assert sizes.decoder_parameters == LLAMA31_8B_PARAMETERS - 128256 * 4096


def test_adapters_are_counted_by_hand(tmp_path: Path) -> None:
    lora = {"rank": 8, "alpha": 8, "targets": ["q_proj", "v_proj", "down_proj"], "num_layers": 4}
    sizes = measure_model(recipe(tmp_path, LLAMA32_1B, lora=lora))
    by_hand = 4 * 8 * ((2048 + 2048) + (2048 + 512) + (8192 + 2048))
    assert sizes.adapter_parameters == by_hand
    assert sizes.trainable_parameters == by_hand + 3 * 2048 + 3


def test_activations_are_counted_by_hand(tmp_path: Path) -> None:
    hidden, key_value, intermediate, layers, prompts, tokens = 2048, 512, 8192, 16, 4, 100
    # bf16: two norms' outputs before and after their weights, attention's output, query, key, value, and gate, up,
    # activated gate and their product of the MLP; float32: the norms' inputs and their scales.
    per_token = 2 * (4 * hidden + hidden + hidden + 2 * key_value + 4 * intermediate) + 2 * (
        4 * hidden + 4
    )
    sizes = measure_model(
        recipe(tmp_path, LLAMA32_1B, micro_batch=prompts, max_tokens=tokens, global_batch=8)
    )
    assert sizes.activation_bytes == pytest.approx(prompts * tokens * layers * per_token, rel=0.02)


def test_eager_attention_keeps_its_score_matrices(tmp_path: Path) -> None:
    settings = {"micro_batch": 4, "global_batch": 8, "max_tokens": 100}
    fused = measure_model(recipe(tmp_path, LLAMA32_1B, **settings)).activation_bytes
    eager = measure_model(
        recipe(tmp_path, LLAMA32_1B, attention="eager", **settings)
    ).activation_bytes
    scores = (
        16 * 4 * 32 * 100 * 100
    )  # layers x prompts x heads x tokens^2: softmax in float32, its bf16 copy
    assert eager - fused > scores * (4 + 2)
    for device, expected in (("cpu", eager), ("gpu", fused)):
        auto = recipe(tmp_path, LLAMA32_1B, attention="auto", device=device, **settings)
        assert measure_model(auto).activation_bytes == expected


def test_checkpointing_keeps_the_inputs_of_layers_and_one_layer(tmp_path: Path) -> None:
    settings = {"micro_batch": 4, "global_batch": 8, "max_tokens": 100}
    full = measure_model(recipe(tmp_path, LLAMA32_1B, **settings)).activation_bytes
    light = measure_model(
        recipe(tmp_path, LLAMA32_1B, gradient_checkpointing=True, **settings)
    ).activation_bytes
    assert light == 16 * 4 * 100 * 2048 * 2 + full // 16


def test_next_item_encoder_is_counted_by_hand(tiny_shop: TinyShop, tmp_path: Path) -> None:
    settings = {"hidden_size": 16, "num_layers": 2, "num_heads": 2, "convolution_taps": 4}
    config = NextItemRecipe.model_validate(
        {
            "data": tiny_shop.data,
            "examples": tiny_shop.examples,
            "sequence": settings,
            "dtype": "fp32",
            "vocabulary": {"min_customers": 1},
            "output": tmp_path,
        }
    )
    sizes = measure_model(config)
    layer = 4 * 16 * 16 + 3 * 16 * (8 * 16 // 3) + 2 * 16 + 4 * 16
    vectors = (NUM_ITEMS + 2) * 16 + (len(CATEGORIES) + 2) * 16
    repeats = 2 * 16 * 16 + 2 * 16 + 2
    assert sizes.trainable_parameters == 2 * layer + 16 + vectors + 2 * 16 + repeats
    assert sizes.total_parameters == sizes.trainable_parameters
    # The logits of every place alone, which the softmax keeps in float32.
    assert sizes.activation_bytes > 4 * config.micro_batch * config.sequence.max_events * NUM_ITEMS
    with pytest.raises(ValueError, match="there are no examples in nowhere"):
        measure_model(config.model_copy(update={"examples": Path("nowhere")}))
