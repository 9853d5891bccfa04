"""A tiny sequence encoder's settings, and its logits."""

from datetime import UTC, datetime

import numpy as np
import torch

from lifecycle.features.sequence import (
    Histories,
    SequenceBatch,
    SequenceSettings,
    Window,
)
from lifecycle.llama.sequence_model import SequenceModel, tensors

CUTOFF = datetime(2024, 8, 1, tzinfo=UTC)
SETTINGS = SequenceSettings(hidden_size=32, num_layers=2, num_heads=2, dropout=0.0, max_events=40)
Known = tuple[Histories, list[Window], SequenceModel]


def logits(model: SequenceModel, batch: SequenceBatch) -> np.ndarray:
    with torch.inference_mode():
        return model(*tensors(batch))[0].numpy()  # type: ignore[no-any-return]
