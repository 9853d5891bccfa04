"""What autograd keeps of a forward pass on the meta device, and attention as fused kernels have it."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from training.plan.worker import ModelSizes

FUSED_ATTENTION = "fused_on_meta"


def sizes_of(
    model: nn.Module, num_decoder: int, num_head: int, dtype: torch.dtype, activations: int
) -> ModelSizes:
    """Of a model with so many parameters in its decoder and head; what else it has are adapters."""
    trained = [parameter.numel() for parameter in model.parameters() if parameter.requires_grad]
    return ModelSizes(
        decoder_parameters=num_decoder,
        adapter_parameters=count(model) - num_decoder - num_head,
        head_parameters=num_head,
        trainable_parameters=sum(trained),
        largest_trainable=max(trained),
        weight_bytes=dtype.itemsize,
        activation_bytes=activations,
    )


def count(module: nn.Module) -> int:
    """Its parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def saved_bytes(model: nn.Module, forward: Callable[[], None]) -> int:
    """Bytes of the tensors that autograd keeps for the backward pass, each storage once, weights left out."""
    weights = {
        tensor.untyped_storage()._cdata for tensor in [*model.parameters(), *model.buffers()]
    }
    kept: dict[
        int, Tensor
    ] = {}  # by storage; holding the tensors keeps their addresses from being used again

    def keep(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage()._cdata not in weights:
            kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        forward()
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


class _KeepsWhatFlashKeeps(torch.autograd.Function):
    """Shape of FlashAttention and of SDPA's fused kernels: query, key, value and output are kept, no score matrix."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        output = torch.empty_like(query)
        ctx.save_for_backward(query, key, value, output)
        return output


def fused_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **settings: object,
) -> tuple[Tensor, None]:
    """The signature that transformers' attention functions have."""
    output: Tensor = _KeepsWhatFlashKeeps.apply(query, key, value)  # type: ignore[no-untyped-call]
    return output.transpose(1, 2), None
