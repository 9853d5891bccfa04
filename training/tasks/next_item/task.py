"""What the training loop does with purchases: after every order the items of the next one, out of all items."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from deepspeed.runtime.engine import DeepSpeedEngine
from torch import Tensor, nn

from lifecycle.events.shards import read_items
from lifecycle.features.baskets import NO_ITEM, NextOrders, Windows, basket_batch, next_orders
from lifecycle.llama.next_item.files import StoredNextItem, save_next_item_model
from lifecycle.llama.next_item.model import (
    Sampled,
    Wanted,
    history_columns,
    new_next_item_model,
    next_item_loss,
    tensors,
)
from lifecycle.llama.next_item.predict import offered_numbers
from lifecycle.llama.titles import TitleEncoder, fit_title_encoder
from lifecycle.metrics.ranking import hit_rate, ndcg
from lifecycle.recommend.ordering import best_of_rows
from training.tasks.next_item.rows import NextItemRows, read_next_item_rows, reads_lines
from training.tasks.next_item.sampled_items import item_chances, sampled_items
from training.tasks.protocol import ParameterGroup
from training.tasks.recipes.next_item import NextItemRecipe

TOP = 10  # of the items that validation looks at


class NextItemTask:
    """The latest purchases of every customer, and a seeded sample of validation; see `training.tasks.protocol.Task`.

    Rows are customers, an epoch takes each once. An order that is one item is what "next item" says;
    of an order of several all are wanted alike after the order before it.
    """

    def __init__(self, config: NextItemRecipe) -> None:
        self.config = config
        self.rows: NextItemRows = read_next_item_rows(config)
        self.known = self.rows.known
        self.num_rows = len(self.rows.num_next)
        self.title_encoder = _title_encoder(config, self.rows)
        self.items = np.arange(1, self.rows.vocabulary.table.height + 1)
        self.chances = item_chances(self.rows.num_bought[1:])
        self.cumulative = np.cumsum(self.chances)
        offered = offered_numbers(self.rows.vocabulary, read_items(config.data))
        self.is_offered = np.isin(self.items, offered)
        found = len(self.rows.first)
        chosen = np.random.default_rng(config.seed).permutation(found)[: config.validation_rows]
        self.validated = np.sort(chosen)
        self.num_validation_rows = len(chosen)

    def new_model(self, dtype: torch.dtype) -> tuple[nn.Module, list[ParameterGroup]]:
        """See Task; everything starts from scratch, but for what titles say, and learns at one rate."""
        model = new_next_item_model(
            self.config.sequence, self.rows.vocabulary, self.title_encoder
        ).to(dtype)
        return model, [
            ParameterGroup(list(model.parameters()), self.config.optimizer.learning_rate)
        ]

    def lengths(self, rows: np.ndarray, epochs: np.ndarray) -> np.ndarray:
        """See Task."""
        lengths: np.ndarray = self.rows.training.lengths[rows]
        return lengths

    def weights(self, rows: np.ndarray) -> np.ndarray:
        """See Task; a customer counts by how many items are wanted."""
        weights: np.ndarray = self.rows.num_next[rows].astype(np.float64)
        return weights

    def loss(
        self, engine: DeepSpeedEngine, rows: np.ndarray, epochs: np.ndarray
    ) -> tuple[Tensor, int]:
        """See Task."""
        windows = self.rows.training.take(rows)
        orders = next_orders(self.known, windows)
        items, weights = self._candidates(windows, orders, rows, epochs)
        logits = self._logits(engine, windows, orders.places, items)
        columns = np.searchsorted(items, orders.item)
        pairs = (torch.from_numpy(one).to(logits.device) for one in (orders.end, columns))
        sampled = None
        if weights is not None:
            item, _ = tensors(basket_batch(self.known, windows), logits.device)
            numbers = torch.from_numpy(items).to(logits.device)
            places = torch.from_numpy(orders.places).to(logits.device)
            sampled = Sampled(
                torch.from_numpy(weights).to(logits.device),
                history_columns(item, places, numbers, len(self.items)),
            )
        return next_item_loss(logits, sampled, Wanted(*pairs)), int(windows.lengths.sum())

    def _candidates(
        self, windows: Windows, orders: NextOrders, rows: np.ndarray, epochs: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """The numbers of the items that the softmax is over, ascending, and what each stands for (None: itself).

        All that are read are among them: much of what was bought before is bought again.
        """
        if len(self.items) <= self.config.softmax_items:
            return self.items, None
        read = np.unique(basket_batch(self.known, windows).item)
        certain = np.concatenate([orders.item, read[read != NO_ITEM]])
        seed = [self.config.seed, 3, int(epochs[0]), *map(int, rows)]
        items, weights = sampled_items(
            self.cumulative,
            self.chances,
            self.config.sampled_items,
            certain - 1,
            np.random.default_rng(seed),
        )
        return items + 1, weights

    def _logits(
        self, engine: DeepSpeedEngine, windows: Windows, places: np.ndarray, items: np.ndarray
    ) -> Tensor:
        batch = tensors(basket_batch(self.known, windows), engine.device)
        wanted = (torch.from_numpy(numbers).to(engine.device) for numbers in (places, items))
        logits: Tensor = engine(*batch, *wanted)
        return logits

    def validation_sums(
        self, engine: DeepSpeedEngine, rows: list[int]
    ) -> Iterator[tuple[list[int], Tensor]]:
        """See Task; loss, NDCG and hit rate of what is bought next, out of all items."""
        chosen = self.validated[rows]
        windows = self.rows.validation.take(chosen)
        order = np.argsort(windows.lengths, kind="stable")
        for start in range(0, len(order), self.config.micro_batch):
            places = order[start : start + self.config.micro_batch]
            of_places = windows.take(places)
            last = basket_batch(self.known, of_places).last
            logits = self._logits(engine, of_places, last, self.items).log_softmax(dim=1).cpu()
            rated = zip(chosen[places], logits.numpy(), strict=True)
            yield places.tolist(), torch.tensor([self._rated(*row) for row in rated])

    def _rated(self, row: int, scores: np.ndarray) -> list[float]:
        """Loss, NDCG and hit rate of the log-probabilities (items,) of a customer of the validation."""
        end = int(self.rows.validation.end[row])
        truth = self.known.item[end : int(self.rows.until[row])]
        truth = truth[truth > 0]
        loss = -float(scores[truth - 1].mean())
        allowed = np.where(self.is_offered, scores, -np.inf)
        if self.config.exclude_seen:
            seen = self.known.item[int(self.rows.first[row]) : end]
            allowed[seen[seen > 0] - 1] = -np.inf
        _, places = best_of_rows(allowed[None], TOP)
        ranked = [str(place + 1) for place in places]
        wanted = set(map(str, truth.tolist()))
        return [loss, ndcg(ranked, wanted, TOP), hit_rate(ranked, wanted, TOP), 1.0]

    def metrics(self, sums: Tensor) -> dict[str, float]:
        """See Task."""
        loss, gain, hits, count = sums.tolist()
        return {"val_loss": loss / count, "val_ndcg": gain / count, "val_hr": hits / count}

    def save(self, model: nn.Module, state: dict[str, Tensor], folder: Path) -> None:
        """See Task."""
        stored = StoredNextItem(settings=self.config.sequence, reads_lines=reads_lines(self.config))
        save_next_item_model(state, stored, self.rows.vocabulary, self.title_encoder, folder)


def _title_encoder(config: NextItemRecipe, rows: NextItemRows) -> TitleEncoder | None:
    if config.base_model is None:
        return None
    return fit_title_encoder(config.base_model, rows.vocabulary.titles)
