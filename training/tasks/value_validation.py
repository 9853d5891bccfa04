"""What validation of the value task measures, whatever the encoder: loss and RMSE in currency."""

import math

import numpy as np
import torch
from torch import Tensor

from lifecycle.spend.ziln import expectation, ziln_loss


def value_sums(logits: Tensor, targets: np.ndarray) -> Tensor:
    """Loss, squared error and 1 of each row, shape (n, 3); of scaled targets (n,) and logits (n, 3) on the CPU."""
    return torch.stack(
        [_sums_of(row[None], target) for row, target in zip(logits, targets, strict=True)]
    )


def _sums_of(logits: Tensor, scaled_target: float) -> Tensor:
    target = torch.tensor([scaled_target])
    error = (expectation(logits) - target)[0] ** 2
    return torch.tensor([float(ziln_loss(logits, target)), float(error), 1.0])


def validation_metrics(sums: Tensor, scale: float) -> dict[str, float]:
    """Means over all rows; `scale` is what targets were divided by."""
    return {
        "val_loss": float(sums[0] / sums[2]),
        "val_rmse": math.sqrt(float(sums[1] / sums[2])) * scale,
    }
