"""Recipe of task rerank: a language model learns to say what a customer buys next, by its title."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from training.tasks.recipes.decoder import DecoderRecipe


class RerankRecipe(DecoderRecipe):
    """What task rerank adds."""

    task: Literal["rerank"] = "rerank"
    data: Path
    examples: Path
    max_tokens: int = Field(512, ge=8)  # of a prompt with the title behind it
    orders_per_customer: int = Field(4, ge=1)  # whose titles are learned, the latest
    max_examples: int = Field(20_000, ge=1)  # a seeded sample where there are more
