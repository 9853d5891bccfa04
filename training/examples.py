"""What a training run reads from its examples folder, and the check of it before the first step."""

import numpy as np
import polars as pl
from transformers import PreTrainedTokenizerBase

from training.recipe import TrainConfig

CHECKED_AT_ONCE = 1000


class Examples:
    """Prompts and scaled targets of the training rows and of the validation sample."""

    def __init__(self, train: pl.DataFrame, validation: pl.DataFrame) -> None:
        positive = train.filter(pl.col("target") > 0)["target"]
        self.scale = float(np.exp(np.log(positive.to_numpy()).mean())) if positive.len() else 1.0
        self.prompts, self.targets = train["prompt"].to_list(), train["target"].to_numpy() / self.scale
        self.val_prompts = validation["prompt"].to_list()
        self.val_targets = validation["target"].to_numpy() / self.scale


def read_examples(config: TrainConfig) -> Examples:
    """Training rows, and a seeded sample of the validation rows."""
    columns = ["customer_id", "prompt", "target"]
    validation = pl.read_parquet(config.examples / "val.parquet", columns=columns).sort("customer_id")
    num_rows = min(config.validation_rows, validation.height)
    sample = validation.sample(num_rows, seed=config.seed, shuffle=True)
    return Examples(pl.read_parquet(config.examples / "train.parquet", columns=columns), sample)


def check_lengths(tokenizer: PreTrainedTokenizerBase, prompts: list[str], max_tokens: int) -> None:
    """ValueError for a prompt of more than `max_tokens`, now rather than in the step that first meets it."""
    for start in range(0, len(prompts), CHECKED_AT_ONCE):
        tokens = tokenizer(prompts[start : start + CHECKED_AT_ONCE])["input_ids"]
        longest = max(len(row) for row in tokens)
        if longest > max_tokens:
            raise ValueError(f"max_tokens is {max_tokens}, but a prompt has {longest} tokens")
