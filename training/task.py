"""What an encoder gives to the training loop; `training.text_task` and `training.sequence_task` are the two."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from deepspeed.runtime.engine import DeepSpeedEngine
from torch import Tensor, nn


class Task(Protocol):
    """Rows are positions of training examples; the epoch of a row may vary its example."""

    num_rows: int
    scale: float  # that targets are divided by
    val_targets: np.ndarray
    varies_in_length: bool  # whether forward passes should hold examples of similar length

    def new_model(self, dtype: torch.dtype) -> tuple[nn.Module, list[dict[str, object]]]:
        """The model before its first step, and its parameters in groups with their learning rates."""

    def lengths(self, rows: np.ndarray, epochs: np.ndarray) -> np.ndarray:
        """How long each example is."""

    def loss(self, engine: DeepSpeedEngine, rows: np.ndarray, epochs: np.ndarray) -> tuple[Tensor, int]:
        """The loss of one micro-batch, and how many tokens or events it has without padding."""

    def val_logits(self, engine: DeepSpeedEngine, rows: list[int]) -> Iterator[tuple[list[int], Tensor]]:
        """Batches of value logits (b, 3) of validation rows, with their places in `rows`."""

    def save(self, model: nn.Module, state: dict[str, Tensor], folder: Path) -> None:
        """Write the trained weights `state` and what else the member needs."""
