"""How many rows a task learns from, and how many layers stay as they are."""

from training.prepare.dataset import read_dataset
from training.tasks.conversations import check_chat_template, split_conversations
from training.tasks.next_item.rows import read_next_item_rows
from training.tasks.recipes.next_item import NextItemRecipe
from training.tasks.recipes.rerank import RerankRecipe
from training.tasks.recipes.sft import SftRecipe
from training.tasks.recipes.text import TextRecipe
from training.tasks.recipes.union import PlannedRecipe, TrainConfig
from training.tasks.rerank.titles import read_next_titles


def num_training_rows(config: TrainConfig) -> int:
    """Rows of an epoch: training rows of the examples, training customers for encoders of events, conversations.

    Raises ValueError where the task cannot learn from them.
    """
    if isinstance(config, SftRecipe):
        check_chat_template(config.base_model)
        train, _ = split_conversations(
            config.conversations, config.validation_conversations, config.seed
        )
        return len(train)
    if isinstance(config, NextItemRecipe):
        return len(read_next_item_rows(config).num_next)
    if isinstance(config, RerankRecipe):
        return len(read_next_titles(config)[0])
    num_rows = read_dataset(config.examples).num_rows
    return num_rows["train" if isinstance(config, TextRecipe) else "train_customers"]


def num_validation_rows(config: PlannedRecipe) -> int:
    """Rows that validation may draw its sample from."""
    if isinstance(config, NextItemRecipe):
        return len(read_next_item_rows(config).first)
    if isinstance(config, RerankRecipe):
        return len(read_next_titles(config)[1])
    return read_dataset(config.examples).num_rows["val"]


def num_frozen_layers(config: TextRecipe) -> int:
    """Layers whose output `activation_cache` keeps; ValueError where LoRA adapts all that there are."""
    from lifecycle.llama.decoder import architecture

    return config.frozen_layers(architecture(config.decoder).num_hidden_layers)


def check_activation_cache(config: TrainConfig) -> None:
    """ValueError where a recipe has an activation cache, but no layer whose output it could keep."""
    if isinstance(config, TextRecipe) and config.activation_cache is not None:
        num_frozen_layers(config)
