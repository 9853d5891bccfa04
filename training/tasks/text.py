"""What the training loop does with prompts: the decoder with its adapters, batches of tokens, the member's files."""

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import polars as pl
import torch
import torch.distributed
from deepspeed.runtime.engine import DeepSpeedEngine
from torch import Tensor, nn

from lifecycle.llama.decoder import load_tokenizer, pad_tokens, token_batches
from lifecycle.llama.text_model import TextValueModel, new_value_model, save_value_model
from lifecycle.spend.ziln import ziln_loss
from training.tasks.activations import ActivationCache, Split
from training.tasks.lengths import check_lengths
from training.tasks.protocol import ParameterGroup
from training.tasks.recipes.text import TextRecipe
from training.tasks.recipes.union import ValueRecipe
from training.tasks.value_validation import validation_metrics, value_sums

COLUMNS = ["customer_id", "prompt", "target"]


class TextTask:
    """Prompts of the training rows and of a seeded validation sample; see `training.tasks.protocol.Task`."""

    def __init__(self, config: TextRecipe) -> None:
        train = pl.read_parquet(config.examples / "train.parquet", columns=COLUMNS)
        validation = validation_sample(config, COLUMNS)
        self.config = config
        self.tokenizer = load_tokenizer(config.base_model)
        self.cache: ActivationCache | None = None
        self.prompts = train["prompt"].to_list()
        self.val_prompts = validation["prompt"].to_list()
        rank = torch.distributed.get_rank()
        num_workers = torch.distributed.get_world_size()
        mine = (self.prompts + self.val_prompts)[rank::num_workers]
        check_lengths(self.tokenizer, mine, config.max_tokens)
        self.num_rows = len(self.prompts)
        self.scale = target_scale(train)
        self.targets = train["target"].to_numpy() / self.scale
        self.val_targets = validation["target"].to_numpy() / self.scale
        self.num_validation_rows = len(self.val_targets)

    def new_model(self, dtype: torch.dtype) -> tuple[nn.Module, list[ParameterGroup]]:
        """See Task; decoder and head learn at their own rates."""
        if self.config.activation_cache is not None:  # before the model takes its memory
            self.cache = ActivationCache(
                self.config,
                self.config.activation_cache,
                train=self.tokenizer(self.prompts)["input_ids"],
                validation=self.tokenizer(self.val_prompts)["input_ids"],
                dtype=dtype,
            )
        model = new_value_model(self.config.decoder, self.config.lora, dtype)
        if self.cache is not None:
            self.cache.skip_layers(model.decoder)
        model.head.start_from(torch.tensor(self.targets, dtype=torch.float32))
        if self.config.gradient_checkpointing:
            model.decoder.gradient_checkpointing_enable()  # type: ignore[operator]
        rates = self.config.optimizer
        trained = [p for p in model.decoder.parameters() if p.requires_grad]
        return model, [
            ParameterGroup(trained, rates.learning_rate),
            ParameterGroup(list(model.head.parameters()), rates.head_learning_rate),
        ]

    def lengths(self, rows: np.ndarray, epochs: np.ndarray) -> np.ndarray:
        """See Task; in tokens."""
        tokens = self.tokenizer([self.prompts[row] for row in rows])["input_ids"]
        return np.array([len(of_prompt) for of_prompt in tokens])

    def weights(self, rows: np.ndarray) -> np.ndarray:
        """See Task."""
        return np.ones(len(rows))

    def loss(
        self, engine: DeepSpeedEngine, rows: np.ndarray, epochs: np.ndarray
    ) -> tuple[Tensor, int]:
        """See Task."""
        tokens = self.tokenizer([self.prompts[row] for row in rows])["input_ids"]
        ids, mask = pad_tokens(tokens, self.tokenizer.pad_token_id)
        target = torch.tensor(self.targets[rows], dtype=torch.float32, device=engine.device)
        return ziln_loss(self._logits(engine, ids, mask, "train", rows), target), int(mask.sum())

    def validation_sums(
        self, engine: DeepSpeedEngine, rows: list[int]
    ) -> Iterator[tuple[list[int], Tensor]]:
        """See Task."""
        prompts = [self.val_prompts[row] for row in rows]
        batches = token_batches(
            self.tokenizer, prompts, self.config.max_tokens, self.config.micro_batch
        )
        for chosen, ids, mask in batches:
            places = [rows[position] for position in chosen]
            logits = self._logits(engine, ids, mask, "validation", places).cpu()
            yield chosen, value_sums(logits, self.val_targets[places])

    def metrics(self, sums: Tensor) -> dict[str, float]:
        """See Task."""
        return validation_metrics(sums, self.scale)

    def _logits(
        self, engine: DeepSpeedEngine, ids: Tensor, mask: Tensor, split: Split, rows: Iterable[int]
    ) -> Tensor:
        """Value logits (n, 3) of the tokens of some rows."""
        known = (
            nullcontext() if self.cache is None else self.cache.given(split, rows, engine.device)
        )
        with known:
            return engine(ids.to(engine.device), mask.to(engine.device))  # type: ignore[no-any-return]

    def save(self, model: nn.Module, state: dict[str, Tensor], folder: Path) -> None:
        """See Task."""
        assert isinstance(model, TextValueModel)
        save_value_model(model, state, self.scale, folder)


def target_scale(train: pl.DataFrame) -> float:
    """The geometric mean of what the customers of the training rows spent who spent anything; 1 where nobody did."""
    positive = train.filter(pl.col("target") > 0)["target"]
    return float(np.exp(np.log(positive.to_numpy()).mean())) if positive.len() else 1.0


def validation_sample(config: ValueRecipe, columns: list[str]) -> pl.DataFrame:
    """A seeded sample of the validation rows."""
    validation = pl.read_parquet(config.examples / "val.parquet", columns=columns).sort(
        "customer_id"
    )
    return validation.sample(
        min(config.validation_rows, validation.height), seed=config.seed, shuffle=True
    )
