"""What the training loop does with histories: each epoch sees every customer once, at a cutoff drawn anew."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl
import torch
from deepspeed.runtime.engine import DeepSpeedEngine
from torch import Tensor, nn

from lifecycle.features.sequence import MICROSECONDS_PER_DAY, Window, sequence_batch, window_of
from lifecycle.features.vocabulary import Vocabulary
from lifecycle.llama.sequence_files import save_sequence_model, take_over
from lifecycle.llama.sequence_model import new_sequence_model, tensors
from lifecycle.llama.titles import TitleEncoder, fit_title_encoder, load_title_encoder
from lifecycle.spend.ziln import ziln_loss
from training.prepare.dataset import read_dataset
from training.prepare.sequences import (
    FOLDER,
    REVENUE_NUMBERS,
    Sequences,
    day_number,
    first_cutoffs,
    read_sequences,
    training_customers,
)
from training.tasks.protocol import ParameterGroup
from training.tasks.recipes.sequence import SequenceRecipe
from training.tasks.text import target_scale, validation_sample
from training.tasks.value_validation import validation_metrics, value_sums

EARLIEST = 0.01  # of first purchases: what a few misdated orders say of a shop's age does not count


class SequenceTask:
    """Histories of the training customers and of a seeded validation sample; see `training.tasks.protocol.Task`.

    A cutoff is a UTC midnight from the first training cutoff to the last that the customer's first
    purchase lies before; its horizon ends at or before the test cutoff. Unless the recipe says how
    many days of a history are read, it is half of those before the last cutoff: a young shop's
    histories are longer when the encoder serves than at any cutoff that it learned from.
    """

    def __init__(self, config: SequenceRecipe) -> None:
        facts = read_dataset(config.examples)
        stored = read_sequences(config.examples / FOLDER)
        self.config = config
        self.known = stored.known
        self.vocabulary = stored.vocabulary
        self.title_encoder = _title_encoder(config, stored.vocabulary)
        self.horizon_days = facts.horizon_days
        first = facts.train_cutoffs[0]
        last = facts.train_cutoffs[-1]
        self.last_cutoff = day_number(last)
        self.first_cutoffs = np.maximum(first_cutoffs(stored), day_number(first))
        self.customers = training_customers(stored, last, facts.seed)
        self.num_rows = len(self.customers)
        days = config.sequence.history_days or _half_of_history(stored, self.last_cutoff)
        self.settings = config.sequence.model_copy(update={"history_days": days})
        revenue = np.where(np.isin(self.known.kind, REVENUE_NUMBERS), self.known.amount, 0.0)
        sums = np.cumsum(revenue, dtype=np.float64) * stored.vocabulary.money_unit
        self.revenue_before = np.concatenate([[0.0], sums])
        train = pl.read_parquet(config.examples / "train.parquet", columns=["target"])
        self.scale = target_scale(train)
        self.start_targets = train["target"].to_numpy()
        validation = validation_sample(config, ["customer_id", "cutoff", "target"])
        self.val_targets = validation["target"].to_numpy() / self.scale
        self.num_validation_rows = len(self.val_targets)
        self.val_windows = self._windows_of(validation)

    def new_model(self, dtype: torch.dtype) -> tuple[nn.Module, list[ParameterGroup]]:
        """See Task; weights start from scratch, or from a member, but for what titles say, and learn at one rate."""
        model = new_sequence_model(self.settings, self.vocabulary, self.title_encoder)
        if self.config.start_from is not None:
            take_over(model, self.vocabulary, self.config.start_from)
        model.head.start_from(torch.tensor(self.start_targets / self.scale, dtype=torch.float32))
        rate = self.config.optimizer.learning_rate
        return model.to(dtype), [ParameterGroup(list(model.parameters()), rate)]

    def lengths(self, rows: np.ndarray, epochs: np.ndarray) -> np.ndarray:
        """See Task."""
        return np.array([window.length for window in self._windows(rows, epochs)])

    def weights(self, rows: np.ndarray) -> np.ndarray:
        """See Task."""
        return np.ones(len(rows))

    def loss(
        self, engine: DeepSpeedEngine, rows: np.ndarray, epochs: np.ndarray
    ) -> tuple[Tensor, int]:
        """See Task; the value of the query, and what comes next at the events."""
        windows = self._windows(rows, epochs)
        scaled = [self._spend(window) / self.scale for window in windows]
        target = torch.tensor(scaled, dtype=torch.float32, device=engine.device)
        batch = sequence_batch(self.known, windows, self.horizon_days)
        logits, next_event = engine(*tensors(batch, engine.device), self.config.next_item_positions)
        loss = ziln_loss(logits, target) + self.config.next_event_weight * next_event
        return loss, int(batch.lengths.sum())

    def validation_sums(
        self, engine: DeepSpeedEngine, rows: list[int]
    ) -> Iterator[tuple[list[int], Tensor]]:
        """See Task."""
        windows = [self.val_windows[row] for row in rows]
        targets = self.val_targets[rows]
        order = sorted(range(len(rows)), key=lambda position: windows[position].length)
        for start in range(0, len(order), self.config.micro_batch):
            chosen = order[start : start + self.config.micro_batch]
            of_chosen = [windows[position] for position in chosen]
            batch = sequence_batch(self.known, of_chosen, self.horizon_days)
            logits = engine(*tensors(batch, engine.device))[0].cpu()
            yield chosen, value_sums(logits, targets[chosen])

    def metrics(self, sums: Tensor) -> dict[str, float]:
        """See Task."""
        return validation_metrics(sums, self.scale)

    def save(self, model: nn.Module, state: dict[str, Tensor], folder: Path) -> None:
        """See Task."""
        save_sequence_model(
            state,
            self.settings,
            self.vocabulary,
            self.title_encoder,
            self.horizon_days,
            self.scale,
            folder,
        )

    def _windows(self, rows: np.ndarray, epochs: np.ndarray) -> list[Window]:
        """The history of each row's customer before the cutoff that its epoch draws."""
        return [self._window(row, int(epoch)) for row, epoch in zip(rows, epochs, strict=True)]

    def _window(self, row: int, epoch: int) -> Window:
        customer = int(self.customers[row])
        first = int(self.first_cutoffs[customer])
        draw = cutoff_draws(self.config.seed, epoch, self.num_rows)[row]
        day = first + int(draw * (self.last_cutoff - first + 1))
        return window_of(self.known, customer, day * MICROSECONDS_PER_DAY, self.settings)

    def _windows_of(self, rows: pl.DataFrame) -> list[Window]:
        places = {name: number for number, name in enumerate(self.known.customer_ids)}
        cutoffs = rows["cutoff"].cast(pl.Int64)
        return [
            window_of(self.known, places[name], cutoff, self.settings)
            for name, cutoff in zip(rows["customer_id"], cutoffs, strict=True)
        ]

    def _spend(self, window: Window) -> float:
        """What the customer of a window spent over the horizon."""
        starts = self.known.starts
        end_of_customer = int(starts[np.searchsorted(starts, window.first, side="right")])
        later = self.known.at[window.end : end_of_customer]
        until = window.cutoff + self.horizon_days * MICROSECONDS_PER_DAY
        end = window.end + int(np.searchsorted(later, until, side="left"))
        return float(self.revenue_before[end] - self.revenue_before[window.end])


def _title_encoder(config: SequenceRecipe, vocabulary: Vocabulary) -> TitleEncoder | None:
    """What reads titles: that of the member to start from, whose weights know no other, or one fitted to these."""
    if config.start_from is not None:
        return load_title_encoder(config.start_from)
    if config.base_model is None:
        return None
    return fit_title_encoder(config.base_model, vocabulary.titles)


def _half_of_history(stored: Sequences, last_cutoff: int) -> int:
    """Half of the days before the last training cutoff; days are counted from 1970."""
    last = last_cutoff * MICROSECONDS_PER_DAY
    bought = stored.first_purchase[stored.first_purchase < last]
    first_day = int(np.quantile(bought, EARLIEST)) // MICROSECONDS_PER_DAY
    return max(1, (last_cutoff - first_day) // 2)


@lru_cache(maxsize=4)
def cutoff_draws(seed: int, epoch: int, num_rows: int) -> np.ndarray:
    """Where in its customer's training period each row's cutoff of an epoch lies, shares in [0, 1), shape (n,)."""
    return np.random.default_rng([seed, epoch, 1]).random(num_rows)
