"""Text models with random weights, and prompts for them."""

from pathlib import Path

import torch

from lifecycle.llama.decoder import (
    load_tokenizer,
    pad_tokens,
)
from lifecycle.llama.lora import LoraSettings
from lifecycle.llama.text_model import (
    TextValueModel,
    new_value_model,
)
from tests.builders import decoder

PROMPTS = ["Spend 10", "Spend 20, then 30", "Last: none, buys tea and bread", "x"]


def trained_state(model: TextValueModel) -> dict[str, torch.Tensor]:
    """The weights that training changes, by name."""
    return {
        name: parameter.detach()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def model_with_a_trained_look(base_model: Path, lora: LoraSettings | None) -> TextValueModel:
    """A model whose adapters (zero at first) and head differ from what they start as."""
    torch.manual_seed(2)
    model = new_value_model(decoder(base_model), lora, torch.float32).eval()
    with torch.no_grad():
        for parameter in trained_state(model).values():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


def batch(base_model: Path, prompts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Right-padded ids and mask of some prompts."""
    tokenizer = load_tokenizer(base_model)
    return pad_tokens(tokenizer(prompts)["input_ids"], tokenizer.pad_token_id)
