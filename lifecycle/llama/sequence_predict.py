"""The sequence encoder at inference: expected spend of customers from their events. One process, no Ray, no HTTP."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch

from lifecycle.features.sequence import (
    SequenceBatch,
    SequenceSettings,
    histories,
    sequence_batch,
    window_of,
)
from lifecycle.features.vocabulary import Vocabulary
from lifecycle.llama.sequence_files import load_sequence_model
from lifecycle.llama.sequence_model import SequenceModel, tensors
from lifecycle.spend.ziln import expectation

BATCH_ROWS = 64


@dataclass(frozen=True)
class SequencePredictor:
    """A trained sequence encoder with its vocabulary."""

    model: SequenceModel
    vocabulary: Vocabulary
    settings: SequenceSettings
    horizon_days: int
    scale: float

    @torch.inference_mode()
    def expected_spend(self, events: pl.DataFrame, keys: pl.DataFrame) -> np.ndarray:
        """Expected spend over the horizon in currency, shape (n,), of each customer_id and cutoff in `keys`.

        `events` has all events of these customers; those at or after a cutoff are not read.
        """
        result = np.empty(keys.height)
        for rows, batch in self._batches(events, keys):
            logits, _ = self.model(*tensors(batch))
            result[rows] = expectation(logits).double().numpy() * self.scale
        return result

    @torch.inference_mode()
    def states(self, events: pl.DataFrame, keys: pl.DataFrame) -> np.ndarray:
        """What the encoder makes of each of them: the hidden state of the query, shape (n, hidden)."""
        result = np.empty((keys.height, self.settings.hidden_size))
        for rows, batch in self._batches(events, keys):
            *inputs, lengths = tensors(batch)
            hidden = self.model.hidden(*inputs)
            result[rows] = hidden[torch.arange(len(rows)), lengths - 1].double().numpy()
        return result

    def _batches(
        self, events: pl.DataFrame, keys: pl.DataFrame
    ) -> Iterator[tuple[np.ndarray, SequenceBatch]]:
        """Rows of `keys` of similar length, and what the model reads of them."""
        own = events.join(keys.select("customer_id").unique(), on="customer_id", how="semi")
        known = histories(
            own.sort("customer_id", "occurred_at", maintain_order=True), self.vocabulary
        )
        places = {name: number for number, name in enumerate(known.customer_ids)}
        windows = [
            window_of(known, places[name], cutoff, self.settings)
            for name, cutoff in keys.select(
                "customer_id", pl.col("cutoff").cast(pl.Int64)
            ).iter_rows()
        ]
        order = np.argsort([window.length for window in windows], kind="stable")
        for start in range(0, len(order), BATCH_ROWS):
            rows = order[start : start + BATCH_ROWS]
            yield rows, sequence_batch(known, [windows[row] for row in rows], self.horizon_days)


def load_sequence_predictor(member: Path, items: pl.DataFrame) -> SequencePredictor:
    """A member ready to predict on one CPU core, for events with the items of a catalogue."""
    torch.set_num_threads(1)
    model, vocabulary, settings, horizon_days, scale = load_sequence_model(member, items)
    return SequencePredictor(model, vocabulary, settings, horizon_days, scale)
