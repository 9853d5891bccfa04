"""How many rows a task learns from, and how many layers stay as they are."""

from training.prepare.dataset import read_dataset
from training.recipe import TrainConfig
from training.tasks.conversations import check_chat_template, split_conversations


def num_training_rows(config: TrainConfig) -> int:
    """Rows of an epoch: training rows of the examples, training customers for the sequence encoder, conversations.

    Raises ValueError where the task cannot learn from them.
    """
    if config.task == "sft":
        assert config.conversations is not None and config.base_model is not None
        check_chat_template(config.base_model)
        return len(
            split_conversations(config.conversations, config.validation_conversations, config.seed)[
                0
            ]
        )
    num_rows = read_dataset(config.examples_folder).num_rows
    return num_rows["train" if config.encoder == "text" else "train_customers"]


def num_frozen_layers(config: TrainConfig) -> int:
    """Layers whose output `activation_cache` keeps; ValueError where LoRA adapts all that there are."""
    from lifecycle.llama.decoder import architecture

    return config.frozen_layers(architecture(config.decoder).num_hidden_layers)
