"""Recipe of task value with encoder sequence: a LLaMA of its own reads a customer's events."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from lifecycle.features.sequence import SequenceSettings
from training.recipe import SharedRecipe


class SequenceRecipe(SharedRecipe):
    """What task value adds with encoder sequence."""

    task: Literal["value"] = "value"
    encoder: Literal["sequence"] = "sequence"
    data: Path
    examples: Path
    base_model: str | None = None  # reads the titles of items
    sequence: SequenceSettings = SequenceSettings()
    # A member of the same encoder, of this shop or another; None: from scratch.
    start_from: Path | None = None
    # Of the loss of the next item, gap and amount beside that of the value.
    next_event_weight: float = Field(0.1, ge=0)
    # Of each micro-batch, at which the next item is asked for.
    next_item_positions: int = Field(256, ge=1)
