"""LLaMA at inference: expected spend from prompts, hidden states. One process, no Ray, no HTTP."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lifecycle.events.history import KEYS
from lifecycle.llama.decoder import fast_dtype, load_decoder, load_tokenizer, token_batches
from lifecycle.llama.member import DecoderSettings, decoder_of, is_sequence, read_member
from lifecycle.llama.sequence_predict import load_sequence_predictor
from lifecycle.llama.text_model import TextValueModel, load_value_model
from lifecycle.spend.ziln import expectation

BATCH_ROWS = 16
MemberPredictor = Callable[[pl.DataFrame, pl.DataFrame], np.ndarray]


@dataclass(frozen=True)
class ValuePredictor:
    """A fine-tuned member with its tokenizer."""

    model: TextValueModel
    tokenizer: PreTrainedTokenizerBase
    scale: float
    max_tokens: int

    @torch.inference_mode()
    def expected_spend(self, prompts: list[str]) -> np.ndarray:
        """Expected spend over the trained horizon in currency, shape (n,)."""
        result = np.empty(len(prompts))
        for rows, ids, mask in token_batches(self.tokenizer, prompts, self.max_tokens, BATCH_ROWS):
            result[rows] = expectation(self.model(ids, mask)).double().numpy() * self.scale
        return result


@dataclass(frozen=True)
class HiddenPredictor:
    """An untrained decoder with its tokenizer."""

    decoder: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    max_tokens: int

    @torch.inference_mode()
    def hidden(self, prompts: list[str], depths: Sequence[int | None]) -> np.ndarray:
        """Last token's hidden state after the first so many layers (None: all), shape (n, depths, hidden).

        Each is normalised over its dimensions, as the value head does.
        """
        size = self.decoder.config.hidden_size
        result = np.empty((len(prompts), len(depths), size))
        for rows, ids, mask in token_batches(self.tokenizer, prompts, self.max_tokens, BATCH_ROWS):
            after = self.decoder(
                input_ids=ids, attention_mask=mask, use_cache=False, output_hidden_states=True
            ).hidden_states
            last = torch.arange(len(rows)), mask.sum(dim=1) - 1
            states = torch.stack(
                [after[-1 if depth is None else depth][last] for depth in depths], dim=1
            )
            result[rows] = torch.nn.functional.layer_norm(states.float(), [size]).double().numpy()
        return result


def load_value_predictor(member: Path, settings: DecoderSettings) -> ValuePredictor:
    """A member ready to predict on one CPU core, in the dtype that core is fast at."""
    torch.set_num_threads(1)
    model, scale = load_value_model(member, settings, fast_dtype("cpu"))
    return ValuePredictor(model, load_tokenizer(settings.base_model), scale, settings.max_tokens)


def load_member(folder: Path, items: pl.DataFrame) -> MemberPredictor:
    """A member of either encoder: examples (with keys and prompt) and their customers' events to spend, shape (n,).

    `items` is the catalogue, of which a text member knows through its prompts.
    """
    manifest = read_member(folder)
    if is_sequence(manifest):
        reader = load_sequence_predictor(folder, items)
        return lambda examples, events: reader.expected_spend(events, examples.select(KEYS))
    predictor = load_value_predictor(folder, decoder_of(manifest))
    return lambda examples, events: predictor.expected_spend(examples["prompt"].to_list())


def load_hidden_predictor(settings: DecoderSettings) -> HiddenPredictor:
    """The whole base model as it is, on one CPU core."""
    torch.set_num_threads(1)
    decoder = load_decoder(replace(settings, num_layers=None), fast_dtype("cpu")).eval()
    return HiddenPredictor(decoder, load_tokenizer(settings.base_model), settings.max_tokens)
