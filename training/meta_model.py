"""A recipe's model on the meta device: shapes without memory, so an 8B model is measured on any laptop."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AutoModel

from lifecycle.model import TextValueModel, architecture, attention_of, with_lora
from lifecycle.value_head import ValueHead
from training.recipe import TrainConfig

FUSED_ATTENTION = "fused_on_meta"


@dataclass(frozen=True)
class ModelSizes:
    """Numbers of parameters, and bytes of activations that one worker keeps for its backward pass."""

    decoder_parameters: int
    adapter_parameters: int
    head_parameters: int
    trainable_parameters: int
    activation_bytes: int


def measure_model(config: TrainConfig) -> ModelSizes:
    """Build the recipe's model and run a forward pass of its largest micro-batch, all on the meta device.

    Raises ValueError where `base_model` is not a folder with a config.json; weights are not needed.
    """
    if config.base_model is None:
        raise ValueError("the plan knows the text encoder alone: encoder is sequence")
    if not (Path(config.base_model) / "config.json").is_file():
        raise ValueError(f"base_model {config.base_model!r} is not a folder with a config.json")
    shape = architecture(config.decoder)
    dtype = torch.float32 if config.dtype == "fp32" else torch.bfloat16
    AttentionInterface.register(FUSED_ATTENTION, _fused_attention)
    with torch.device("meta"):
        attention = "eager" if attention_of(config.decoder, dtype) == "eager" else FUSED_ATTENTION
        decoder = AutoModel.from_config(shape, dtype=dtype, attn_implementation=attention)
        num_decoder, head = _count(decoder), ValueHead(shape.hidden_size)
        model = TextValueModel(decoder if config.lora is None else with_lora(decoder, config.lora), head).train()
    activations = saved_bytes(model, config.micro_batch, config.max_tokens, dtype)
    if config.gradient_checkpointing:
        # Each layer keeps its input, and the layer being recomputed keeps everything (Chen 2016, arXiv 1604.06174).
        inputs = config.micro_batch * config.max_tokens * shape.hidden_size * dtype.itemsize
        activations = shape.num_hidden_layers * inputs + activations // shape.num_hidden_layers
    return ModelSizes(
        decoder_parameters=num_decoder,
        adapter_parameters=_count(model.decoder) - num_decoder,
        head_parameters=_count(head),
        trainable_parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        activation_bytes=activations,
    )


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def saved_bytes(model: TextValueModel, num_prompts: int, num_tokens: int, dtype: torch.dtype) -> int:
    """Bytes of the tensors that autograd keeps for the backward pass, each storage once, weights left out."""
    device = next(model.parameters()).device
    weights = {tensor.untyped_storage()._cdata for tensor in [*model.parameters(), *model.buffers()]}
    kept: dict[int, Tensor] = {}  # by storage; holding the tensors keeps their addresses from being used again

    def keep(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage()._cdata not in weights:
            kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    ids = torch.zeros((num_prompts, num_tokens), dtype=torch.long, device=device)
    mask = torch.zeros((num_prompts, 1, num_tokens, num_tokens), dtype=dtype, device=device)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        hidden: Tensor = model.decoder(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        model.head(hidden[:, -1])
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


class _KeepsWhatFlashKeeps(torch.autograd.Function):
    """Shape of FlashAttention and of SDPA's fused kernels: query, key, value and output are kept, no score matrix."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        output = torch.empty_like(query)
        ctx.save_for_backward(query, key, value, output)
        return output


def _fused_attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **settings: object
) -> tuple[Tensor, None]:
    output: Tensor = _KeepsWhatFlashKeeps.apply(query, key, value)  # type: ignore[no-untyped-call]
    return output.transpose(1, 2), None
