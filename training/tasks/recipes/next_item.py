"""Recipe of task next_item: a LLaMA of its own reads purchases and says what is bought next."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from lifecycle.features.baskets import NextItemSettings
from lifecycle.features.vocabulary import VocabularyRules
from training.recipe import SharedRecipe


class NextItemRecipe(SharedRecipe):
    """What task next_item adds."""

    task: Literal["next_item"] = "next_item"
    encoder: Literal["sequence"] = "sequence"
    data: Path
    examples: Path
    base_model: str | None = None  # reads the titles of items
    sequence: NextItemSettings = NextItemSettings()
    # Which items have a vector of their own; the others share one beside category and title.
    vocabulary: VocabularyRules = VocabularyRules(max_items=1_000_000, min_customers=2)
    # Validation leaves out what a customer has bought before, as the arena's key of that name does.
    exclude_seen: bool = False
    # Above so many items the softmax is over the bought ones and a sample of the others.
    softmax_items: int = Field(100_000, ge=1)
    sampled_items: int = Field(8_192, ge=1)
    # Checkpoints in a row without a better val_ndcg after which the run ends; None: it never ends early.
    patience: int | None = Field(None, ge=1)
    # Learn from the validation purchases too, for as many epochs as a run without has shown to be best.
    learn_validation: bool = False

    @model_validator(mode="after")
    def _nothing_is_chosen_on_what_is_learned(self) -> "NextItemRecipe":
        if self.learn_validation and (self.export != "last" or self.patience is not None):
            raise ValueError(
                "learn_validation leaves nothing to choose a checkpoint by: it needs export last and no patience"
            )
        return self
