"""What the training loop does with texts whose ends are learned: what the assistant says, or what is bought next."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from deepspeed.runtime.engine import DeepSpeedEngine
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from lifecycle.llama.decoder import load_tokenizer, pad_tokens
from lifecycle.llama.language_model import (
    TaughtLanguageModel,
    new_language_model,
    save_language_model,
)
from lifecycle.llama.shared_prefix import can_share
from training.tasks.assistant_tokens import EncodedConversation, encode_conversations
from training.tasks.conversations import split_conversations
from training.tasks.protocol import ParameterGroup
from training.tasks.recipes.rerank import RerankRecipe
from training.tasks.recipes.sft import SftRecipe
from training.tasks.rerank.encoding import encode_next_titles
from training.tasks.rerank.titles import read_next_titles

LENGTH_STEP = 16  # tokens


class SftTask:
    """Texts whose ends are learned, of task sft or rerank, and a seeded sample of those held out.

    See `training.tasks.protocol.Task`.

    Every worker encodes all of them, some thousands a second: the loop needs the length of each,
    and a step the number of learned tokens of all its examples.
    """

    def __init__(self, config: SftRecipe | RerankRecipe) -> None:
        self.config = config
        self.tokenizer = load_tokenizer(config.base_model)
        self.conversations, held_out = encoded_texts(config, self.tokenizer)
        order = np.random.default_rng(config.seed).permutation(len(held_out))
        self.validation = [held_out[place] for place in order[: config.validation_rows]]
        self.num_rows = len(self.conversations)
        self.num_validation_rows = len(self.validation)
        self.shared = 0

    def new_model(self, dtype: torch.dtype) -> tuple[nn.Module, list[ParameterGroup]]:
        """See Task; all that is trained learns at one rate."""
        model = new_language_model(self.config.decoder, self.config.lora, dtype)
        if self.config.gradient_checkpointing:
            model.decoder.gradient_checkpointing_enable()
        if self._may_share() and can_share(model.decoder.config):
            self.shared = shared_tokens(self.conversations + self.validation)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        return model, [ParameterGroup(trained, self.config.optimizer.learning_rate)]

    def _may_share(self) -> bool:
        """Whether reading what all begin with once changes nothing but speed.

        Checkpointed layers keep no keys and values, dropout would fall on the same places in all
        rows, and under ZeRO-3 layers that a step enters twice would not be let go of.
        """
        dropout = self.config.lora.dropout if self.config.lora else 0.0
        return (
            self.config.micro_batch > 1
            and self.config.zero.stage < 3
            and not (dropout or self.config.gradient_checkpointing)
        )

    def lengths(self, rows: np.ndarray, epochs: np.ndarray) -> np.ndarray:
        """See Task; in tokens, roughly: among much the same lengths the loop keeps the random order of the epochs.

        By exact length the copies of one conversation from different epochs would fill forward
        passes of their own.
        """
        lengths = np.array([len(self.conversations[row].ids) for row in rows])
        return -(-lengths // LENGTH_STEP)

    def weights(self, rows: np.ndarray) -> np.ndarray:
        """See Task; by their numbers of learned tokens, so that each token of a step counts the same."""
        return np.array([self.conversations[row].learned.sum() for row in rows])

    def loss(
        self, engine: DeepSpeedEngine, rows: np.ndarray, epochs: np.ndarray
    ) -> tuple[Tensor, int]:
        """See Task; the mean over the learned tokens of the micro-batch."""
        ids, mask, learned = self._batch([self.conversations[row] for row in rows])
        losses = engine(
            ids.to(engine.device), mask.to(engine.device), learned.to(engine.device), self.shared
        )
        return losses.mean(), int(mask.sum())

    def validation_sums(
        self, engine: DeepSpeedEngine, rows: list[int]
    ) -> Iterator[tuple[list[int], Tensor]]:
        """See Task; loss and number of learned tokens."""
        order = sorted(
            range(len(rows)), key=lambda position: len(self.validation[rows[position]].ids)
        )
        for start in range(0, len(order), self.config.micro_batch):
            chosen = order[start : start + self.config.micro_batch]
            ids, mask, learned = self._batch(
                [self.validation[rows[position]] for position in chosen]
            )
            losses = engine(
                ids.to(engine.device),
                mask.to(engine.device),
                learned.to(engine.device),
                self.shared,
            )
            counts = learned.sum(dim=1)
            totals = torch.stack(
                [part.sum() for part in losses.cpu().double().split(counts.tolist())]
            )
            yield chosen, torch.stack([totals, counts.double()], dim=1)

    def metrics(self, sums: Tensor) -> dict[str, float]:
        """See Task; the mean over all learned tokens, in nats, and the perplexity that it means."""
        mean = sums[0] / sums[1]
        return {"val_loss": float(mean), "val_perplexity": float(mean.exp())}

    def save(self, model: nn.Module, state: dict[str, Tensor], folder: Path) -> None:
        """See Task."""
        assert isinstance(model, TaughtLanguageModel)
        save_language_model(model, state, self.tokenizer, folder)

    def _batch(self, conversations: list[EncodedConversation]) -> tuple[Tensor, Tensor, Tensor]:
        """Right-padded ids, mask and learned tokens, each of shape (n, longest)."""
        ids, mask = pad_tokens(
            [conversation.ids.tolist() for conversation in conversations],
            self.tokenizer.pad_token_id,
        )
        learned, _ = pad_tokens(
            [conversation.learned.tolist() for conversation in conversations], 0
        )
        return ids, mask, learned.bool()


def encoded_texts(
    config: SftRecipe | RerankRecipe, tokenizer: PreTrainedTokenizerBase
) -> tuple[list[EncodedConversation], list[EncodedConversation]]:
    """What a recipe trains on and what is held out; ValueError for a text of more than its `max_tokens`."""
    if isinstance(config, RerankRecipe):
        learned, validated = read_next_titles(config)
        return (
            encode_next_titles(tokenizer, learned, config.max_tokens),
            encode_next_titles(tokenizer, validated, config.max_tokens),
        )
    train, held_out = split_conversations(
        config.conversations, config.validation_conversations, config.seed
    )
    return (
        encode_conversations(tokenizer, train, config.max_tokens),
        encode_conversations(tokenizer, held_out, config.max_tokens),
    )


def shared_tokens(conversations: list[EncodedConversation]) -> int:
    """How many first tokens all conversations share, such as a system message, before the last that none learns."""
    end = max(0, min(int(conversation.learned.argmax()) for conversation in conversations) - 1)
    first = conversations[0].ids
    for conversation in conversations:
        differs = np.flatnonzero(conversation.ids[:end] != first[:end])
        end = int(differs[0]) if len(differs) else end
    return end
