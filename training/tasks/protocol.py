"""What a task gives to the training loop; `text`, `sequence` and `sft` are the three."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from deepspeed.runtime.engine import DeepSpeedEngine
from torch import Tensor, nn


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that learn at one rate."""

    parameters: list[nn.Parameter]
    learning_rate: float


class Task(Protocol):
    """Rows are positions of training examples; the epoch of a row may vary its example."""

    num_rows: int
    num_validation_rows: int

    def new_model(self, dtype: torch.dtype) -> tuple[nn.Module, list[ParameterGroup]]:
        """The model before its first step, and its parameters in groups."""

    def lengths(self, rows: np.ndarray, epochs: np.ndarray) -> np.ndarray:
        """How long each example is."""

    def weights(self, rows: np.ndarray) -> np.ndarray:
        """How much each example counts in the mean loss of its optimiser step."""

    def loss(
        self, engine: DeepSpeedEngine, rows: np.ndarray, epochs: np.ndarray
    ) -> tuple[Tensor, int]:
        """The mean loss of one micro-batch by those weights, and how many tokens or events it has without padding."""

    def validation_sums(
        self, engine: DeepSpeedEngine, rows: list[int]
    ) -> Iterator[tuple[list[int], Tensor]]:
        """Batches of validation rows: their places in `rows`, and what is summed up of each, shape (b, k), on the CPU.

        Workers with equally many rows must make equally many forward passes.
        """

    def metrics(self, sums: Tensor) -> dict[str, float]:
        """Names and values of what the sums over all validation rows, shape (k,), say."""

    def save(self, model: nn.Module, state: dict[str, Tensor], folder: Path) -> None:
        """Write the trained weights `state` and what else the member needs."""
