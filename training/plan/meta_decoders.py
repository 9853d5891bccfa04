"""Recipes that fine-tune a decoder of text, on the meta device: how many parameters, and what a pass keeps."""

from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoModel, AutoModelForCausalLM, PreTrainedConfig

from lifecycle.llama.decoder import architecture, attention_of, with_lora
from lifecycle.llama.text_model import TextValueModel
from lifecycle.llama.value_head import ValueHead
from training.plan.meta_bytes import FUSED_ATTENTION, count, saved_bytes, sizes_of
from training.plan.worker import ModelSizes
from training.tasks.recipes.decoder import DecoderRecipe
from training.tasks.recipes.rerank import RerankRecipe
from training.tasks.recipes.text import TextRecipe

TITLE_TOKENS = 32  # whose logits a pass holds; hardly a title has more


def _shape_of(config: DecoderRecipe) -> PreTrainedConfig:
    if not (Path(config.base_model) / "config.json").is_file():
        raise ValueError(f"base_model {config.base_model!r} is not a folder with a config.json")
    return architecture(config.decoder)


def _attention(config: DecoderRecipe, dtype: torch.dtype) -> str:
    return "eager" if attention_of(config.decoder, dtype) == "eager" else FUSED_ATTENTION


def text_sizes(config: TextRecipe, dtype: torch.dtype) -> ModelSizes:
    shape, attention = _shape_of(config), _attention(config, dtype)
    with torch.device("meta"):
        decoder = AutoModel.from_config(shape, dtype=dtype, attn_implementation=attention)
        num_decoder = count(decoder)
        head = ValueHead(shape.hidden_size)
        model = TextValueModel(
            decoder if config.lora is None else with_lora(decoder, config.lora), head
        ).train()
    model.to(dtype)  # peft leaves adapters on the meta device in float32
    kept = saved_bytes(model, lambda: _read_prompts(model, config, dtype))
    activations = _checkpointed(config, shape, dtype, kept)
    return sizes_of(model, num_decoder, count(model.head), dtype, activations)


def _checkpointed(
    config: DecoderRecipe, shape: PreTrainedConfig, dtype: torch.dtype, kept: int
) -> int:
    """Bytes that are kept of `kept` where layers are computed again.

    Each layer keeps its input, and the layer being recomputed keeps everything (Chen 2016, arXiv 1604.06174).
    """
    if not config.gradient_checkpointing:
        return kept
    layers: int = shape.num_hidden_layers
    width: int = shape.hidden_size
    inputs = config.micro_batch * config.max_tokens * width * dtype.itemsize
    return layers * inputs + kept // layers


def language_sizes(config: RerankRecipe, dtype: torch.dtype) -> ModelSizes:
    shape, attention = _shape_of(config), _attention(config, dtype)
    with torch.device("meta"):
        whole = AutoModelForCausalLM.from_config(shape, dtype=dtype, attn_implementation=attention)
        num_decoder = count(whole)
        lora = config.lora
        model = whole if lora is None else with_lora(whole, lora, task_type="CAUSAL_LM")
    model.to(dtype).train()
    kept = saved_bytes(model, lambda: _read_titles(model, config, dtype))
    return sizes_of(model, num_decoder, 0, dtype, _checkpointed(config, shape, dtype, kept))


def _read_titles(model: nn.Module, config: RerankRecipe, dtype: torch.dtype) -> None:
    """A forward pass over prompts that end with a title, `max_tokens` each, and its loss."""
    shape = config.micro_batch, config.max_tokens
    ids = torch.zeros(shape, dtype=torch.long, device="meta")
    mask = torch.zeros((shape[0], 1, shape[1], shape[1]), dtype=dtype, device="meta")
    kept = min(TITLE_TOKENS, config.max_tokens)
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=kept).logits
    titles = torch.zeros(shape[0] * kept, dtype=torch.long, device="meta")
    nn.functional.cross_entropy(logits.flatten(0, 1).float(), titles)


def _read_prompts(model: TextValueModel, config: TextRecipe, dtype: torch.dtype) -> None:
    """A forward pass over prompts of `max_tokens` each."""
    shape = config.micro_batch, config.max_tokens
    ids = torch.zeros(shape, dtype=torch.long, device="meta")
    mask = torch.zeros(
        (config.micro_batch, 1, config.max_tokens, config.max_tokens), dtype=dtype, device="meta"
    )
    hidden: Tensor = model.decoder(
        input_ids=ids, attention_mask=mask, use_cache=False
    ).last_hidden_state
    model.head(hidden[:, -1])
