"""The text encoder: a decoder with LoRA adapters and a zero-inflated lognormal value head."""

import json
from dataclasses import replace
from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lifecycle.llama.decoder import last_hidden, load_decoder, save_decoder, with_lora
from lifecycle.llama.lora import LoraSettings
from lifecycle.llama.member import DecoderSettings
from lifecycle.llama.value_head import ValueHead

HEAD_FILE = "head.safetensors"
SCALE_FILE = "head.json"


class TextValueModel(nn.Module):
    """Decoder and head; right-padded prompts (n, tokens) to logits (n, 3)."""

    def __init__(self, decoder: nn.Module, head: ValueHead) -> None:
        super().__init__()
        self.decoder = decoder
        self.head = head

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Zero-inflated lognormal logits of each prompt's last token."""
        return self.head(last_hidden(self.decoder, input_ids, attention_mask))  # type: ignore[no-any-return]


def new_value_model(
    settings: DecoderSettings, lora: LoraSettings | None, dtype: torch.dtype
) -> TextValueModel:
    """A base model in training mode; all weights are trainable where `lora` is None."""
    decoder = load_decoder(settings, dtype)
    head = ValueHead(decoder.config.hidden_size)
    return TextValueModel(decoder if lora is None else with_lora(decoder, lora), head).train()


def save_value_model(
    model: TextValueModel, state: dict[str, Tensor], scale: float, folder: Path
) -> None:
    """Write adapter (or full decoder) and head as safetensors; `state` has the trained weights by name."""
    save_decoder(model.decoder, state, folder)
    head = {
        name.removeprefix("head."): value.float()
        for name, value in state.items()
        if name.startswith("head.")
    }
    save_file({name: value.contiguous().cpu() for name, value in head.items()}, folder / HEAD_FILE)
    (folder / SCALE_FILE).write_text(json.dumps({"scale": scale}))


def load_value_model(
    folder: Path, settings: DecoderSettings, dtype: torch.dtype
) -> tuple[TextValueModel, float]:
    """A saved model in evaluation mode, and the scale its targets were divided by."""
    if (folder / "adapter_config.json").exists():
        decoder: nn.Module = PeftModel.from_pretrained(
            load_decoder(settings, dtype), folder, autocast_adapter_dtype=False
        ).merge_and_unload()
    else:
        decoder = load_decoder(replace(settings, base_model=folder), dtype)
    head = ValueHead(decoder.config.hidden_size)  # type: ignore[arg-type,union-attr]
    head.load_state_dict(load_file(folder / HEAD_FILE))
    model = TextValueModel(decoder.to(dtype), head).eval()
    return model, float(json.loads((folder / SCALE_FILE).read_text())["scale"])
