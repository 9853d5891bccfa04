"""Recipe of task value with encoder text: a decoder reads a customer's prompt."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from lifecycle.llama.member import DecoderSettings
from training.tasks.recipes.decoder import DecoderRecipe


class TextRecipe(DecoderRecipe):
    """What task value adds with encoder text."""

    task: Literal["value"] = "value"
    data: Path
    examples: Path
    num_layers: int | None = Field(None, ge=1)  # of the base model, from the bottom; None: all
    # Keeps what the layers below lora.num_layers make of each prompt, for all runs.
    activation_cache: Path | None = None

    @property
    def decoder(self) -> DecoderSettings:
        """Which decoder reads the prompts, and how."""
        return replace(super().decoder, num_layers=self.num_layers)

    def frozen_layers(self, total: int) -> int:
        """How many of a decoder's layers lie below those that LoRA adapts; ValueError where none does."""
        adapted = self._adapted_layers()
        if adapted >= total:
            raise ValueError(
                f"lora.num_layers is {adapted}; activation_cache needs fewer than all {total} layers"
            )
        return total - adapted

    def _adapted_layers(self) -> int:
        if self.lora is None or self.lora.num_layers is None:
            raise ValueError(
                "activation_cache needs lora.num_layers: without it no layer stays as it is"
            )
        return self.lora.num_layers

    @model_validator(mode="after")
    def _cache_needs_frozen_layers(self) -> "TextRecipe":
        if self.activation_cache is not None:
            self._adapted_layers()
            if self.num_layers is not None:
                self.frozen_layers(self.num_layers)
        return self
