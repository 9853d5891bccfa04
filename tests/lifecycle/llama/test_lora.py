"""LoRA: which weights it adapts, what is refused, and that a member of it holds no base weights."""

from pathlib import Path

import pytest
import torch

from lifecycle.llama.lora import LoraSettings
from lifecycle.llama.text_model import (
    new_value_model,
    save_value_model,
)
from tests.builders import decoder
from tests.lifecycle.llama.text_models import model_with_a_trained_look, trained_state


@pytest.mark.parametrize(("num_layers", "layers"), [(1, {1}), (2, {0, 1}), (None, {0, 1})])
def test_lora_adapts_named_targets_of_the_top_layers_only(
    tiny_base_model: Path, num_layers: int | None, layers: set[int]
) -> None:
    lora = LoraSettings(rank=2, targets=("q_proj", "down_proj"), num_layers=num_layers)
    model = new_value_model(decoder(tiny_base_model), lora, torch.float32)
    adapted = {name.rpartition(".lora_")[0] for name in trained_state(model) if "lora_" in name}
    expected = {f"{layer}.self_attn.q_proj" for layer in layers} | {
        f"{layer}.mlp.down_proj" for layer in layers
    }
    assert {name.partition("layers.")[2] for name in adapted} == expected
    assert {name for name in trained_state(model) if "lora_" not in name} == {
        "head.linear.weight",
        "head.linear.bias",
    }


def test_lora_reaches_the_fused_attention_of_gpt2(gpt2_base_model: Path) -> None:
    lora = LoraSettings(rank=2, targets=("c_attn",), num_layers=2)
    state = trained_state(new_value_model(decoder(gpt2_base_model), lora, torch.float32))
    shapes = {
        name.partition("h.")[2]: tuple(value.shape)
        for name, value in state.items()
        if "lora_" in name
    }
    assert shapes == {
        f"{layer}.attn.c_attn.lora_{part}.default.weight": shape
        for layer in (1, 2)
        for part, shape in (("A", (2, 32)), ("B", (96, 2)))
    }


def test_unknown_lora_target_is_refused_with_what_there_is(
    tiny_base_model: Path, gpt2_base_model: Path
) -> None:
    for base_model, targets, there in (
        (
            tiny_base_model,
            ("c_attn",),
            "'down_proj', 'gate_proj', 'k_proj', 'o_proj', 'q_proj', 'up_proj', 'v_proj'",
        ),
        (tiny_base_model, ("q_proj", "qq_proj"), "'q_proj'"),
        (gpt2_base_model, ("q_proj",), "'c_attn', 'c_fc', 'c_proj'"),
    ):
        with pytest.raises(
            ValueError, match=rf"lora.targets are .*{targets[-1]}.* layers have \[.*{there}"
        ):
            new_value_model(decoder(base_model), LoraSettings(targets=targets), torch.float32)


def test_more_lora_layers_than_the_model_has_are_refused(tiny_base_model: Path) -> None:
    with pytest.raises(ValueError, match="lora.num_layers is 3; the base model has 2 layers"):
        new_value_model(decoder(tiny_base_model), LoraSettings(num_layers=3), torch.float32)


def test_lora_member_holds_no_base_weights(tiny_base_model: Path, tmp_path: Path) -> None:
    model = model_with_a_trained_look(tiny_base_model, LoraSettings(rank=2))
    save_value_model(model, trained_state(model), 1.0, tmp_path)
    numbers = 2 * (2 * 64 + 2 * 64) + 2 * (
        2 * 64 + 2 * 32
    )  # two layers; q_proj is 64 x 64, v_proj 32 x 64
    assert (tmp_path / "adapter_model.safetensors").stat().st_size == pytest.approx(
        4 * numbers, abs=2000
    )
