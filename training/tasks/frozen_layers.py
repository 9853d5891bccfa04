"""Lower layers that training leaves as they are: what they make of prompts, and a decoder that leaves them out."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from lifecycle.llama.decoder import load_decoder, pad_tokens
from lifecycle.llama.member import DecoderSettings

PROMPTS_AT_ONCE = 16


def layers_of(decoder: nn.Module) -> nn.ModuleList:
    """The decoder's layers, from the bottom, whatever the model calls them; ValueError where it has no list of them."""
    total = decoder.config.num_hidden_layers  # type: ignore[union-attr]
    for module in decoder.modules():
        if isinstance(module, nn.ModuleList) and len(module) == total:
            return module
    raise ValueError(
        f"activation_cache knows decoders with a list of layers; {type(decoder).__name__} has none"
    )


class LowerLayers:
    """A base model's first layers alone, on the device of its settings; owns the output of the last forward pass."""

    def __init__(self, settings: DecoderSettings, dtype: torch.dtype) -> None:
        self.device = (
            torch.device("cuda", int(os.environ["LOCAL_RANK"]))
            if settings.device == "gpu"
            else "cpu"
        )
        self.decoder = load_decoder(settings, dtype).to(self.device).eval()
        self.hidden = torch.empty(0)
        # The decoder's own output is normalised.
        layers_of(self.decoder)[-1].register_forward_hook(self._keep)

    def _keep(self, layer: nn.Module, inputs: object, output: object) -> None:
        if not isinstance(output, Tensor):
            raise ValueError(
                f"activation_cache knows layers that return a tensor; {type(layer).__name__} does not"
            )
        self.hidden = output

    @torch.inference_mode()
    def states(self, tokens: list[list[int]]) -> tuple[Tensor, Tensor]:
        """Hidden states of prompts one after the other, shape (all tokens, hidden), and their n + 1 bounds therein."""
        bounds = torch.tensor([0, *np.cumsum([len(row) for row in tokens])])
        order = sorted(range(len(tokens)), key=lambda position: len(tokens[position]))
        states = torch.empty(
            (int(bounds[-1]), self.decoder.config.hidden_size), dtype=self.decoder.dtype
        )
        for first in range(0, len(order), PROMPTS_AT_ONCE):
            chosen = order[first : first + PROMPTS_AT_ONCE]
            ids, mask = pad_tokens([tokens[position] for position in chosen], pad_id=0)
            self.decoder(
                input_ids=ids.to(self.device), attention_mask=mask.to(self.device), use_cache=False
            )
            for position, hidden in zip(chosen, self.hidden.cpu(), strict=True):
                states[bounds[position] : bounds[position + 1]] = hidden[: len(tokens[position])]
        return states, bounds


class SkippedLayers:
    """The first layers of a decoder in training; owns the states that a forward pass takes for their output.

    The layers stay in their places, so that no weight changes its name. Without states they compute
    as before.
    """

    def __init__(self, decoder: nn.Module, num_layers: int) -> None:
        self.states: Tensor | None = None
        for layer in layers_of(decoder)[:num_layers]:
            layer.forward = partial(self._forward, layer.forward)

    def _forward(self, compute: Callable[..., Tensor], *args: object, **settings: object) -> Tensor:
        return compute(*args, **settings) if self.states is None else self.states

    @contextmanager
    def given(self, states: Tensor) -> Iterator[None]:
        """Forward passes inside take `states`, shape (n, tokens, hidden)."""
        self.states = states
        try:
            yield
        finally:
            self.states = None
