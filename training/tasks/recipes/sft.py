"""Recipe of task sft: a language model learns to say what the assistant says."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from training.tasks.recipes.decoder import DecoderRecipe


class SftRecipe(DecoderRecipe):
    """What task sft adds. It drops no layers: without its deeper ones a language model no longer writes."""

    task: Literal["sft"] = "sft"
    conversations: Path  # a JSON-lines file, a folder of them or a glob
    # Likewise; None holds out a twentieth of `conversations`.
    validation_conversations: Path | None = None
    adapter: str = Field(pattern="^[a-z0-9_-]+$")  # what is taught, such as service or sentiment
