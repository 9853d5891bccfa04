"""The next-item encoder at inference: rankings of a catalogue. One process, no Ray, no HTTP."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
import torch

from lifecycle.features.baskets import (
    Baskets,
    Windows,
    basket_batch,
    baskets,
    by_order,
    latest,
    line_by_line,
)
from lifecycle.features.vocabulary import Vocabulary
from lifecycle.llama.next_item.files import StoredNextItem, load_next_item_model
from lifecycle.llama.next_item.model import NextItemModel, tensors
from lifecycle.recommend.ordering import best_of_rows, places_in_rows

BATCH_ROWS = 64
NO_RANKING = pl.DataFrame(
    schema={"customer_id": pl.String, "rank": pl.Int64, "item_id": pl.String, "score": pl.Float64}
)


@dataclass(frozen=True)
class NextItemPredictor:
    """A trained next-item encoder for a catalogue."""

    model: NextItemModel
    vocabulary: Vocabulary
    stored: StoredNextItem
    offered: np.ndarray  # numbers of the items of the catalogue, ascending

    @cached_property
    def columns(self) -> np.ndarray:
        """By an item's number its place among those offered; -1 for others."""
        columns = np.full(self.vocabulary.table.height + 1, -1)
        columns[self.offered] = np.arange(len(self.offered))
        return columns

    def rank(
        self,
        purchases: pl.DataFrame,
        customer_ids: pl.Series,
        *,
        k: int,
        exclude_seen: bool,
        offered: pl.Series | None = None,
    ) -> pl.DataFrame:
        """The k most probable of the `offered` items (None: the catalogue) for each of these customers, as a ranking.

        That is customer_id, rank, item_id, score: the logarithm of the probability among the whole
        catalogue. `purchases` has what is known of these customers; who has none there is left
        out. Equal scores stand in the order of the vocabulary, the same in every call.
        """
        mine = purchases.join(customer_ids.to_frame("customer_id"), on="customer_id", how="semi")
        own = mine.sort("customer_id", "occurred_at", maintain_order=True)
        ordered = line_by_line(own) if self.stored.reads_lines else by_order(own)
        known = baskets(ordered, self.vocabulary)
        windows = latest(known.starts[:-1], known.starts[1:], self.stored.settings)
        is_left_out = self._left_out(offered)
        parts = [NO_RANKING]
        order = np.argsort(windows.lengths, kind="stable")
        for start in range(0, len(order), BATCH_ROWS):
            rows = order[start : start + BATCH_ROWS]
            scores = self._scores(known, windows.take(rows))
            if exclude_seen:
                self._leave_out_seen(scores, known, rows)
            scores[:, is_left_out] = -np.inf
            parts.append(self._ranking(known.customer_ids.gather(rows), scores, k))
        return pl.concat(parts)

    def _left_out(self, offered: pl.Series | None) -> np.ndarray:
        """Which items of the catalogue are not offered, (offered numbers,)."""
        if offered is None:
            return np.zeros(len(self.offered), dtype=bool)
        names = self.vocabulary.table["item_id"].gather(self.offered - 1)
        return ~names.is_in(offered.implode()).to_numpy()

    def _leave_out_seen(self, scores: np.ndarray, known: Baskets, rows: np.ndarray) -> None:
        """Give what each of these customers has bought a score of -infinity."""
        for row, customer in enumerate(rows):
            mine = self.columns[known.item[known.starts[customer] : known.starts[customer + 1]]]
            scores[row, mine[mine >= 0]] = -np.inf

    @torch.inference_mode()
    def _scores(self, known: Baskets, windows: Windows) -> np.ndarray:
        """Log-probabilities after the last purchase of each window, shape (b, offered)."""
        batch = basket_batch(known, windows)
        candidates = torch.from_numpy(self.offered)
        logits = self.model(*tensors(batch), torch.from_numpy(batch.last), candidates)
        scores: np.ndarray = logits.log_softmax(dim=1).numpy()
        return scores

    def _ranking(self, customer_ids: pl.Series, scores: np.ndarray, k: int) -> pl.DataFrame:
        row, column = best_of_rows(scores, k)
        columns = {
            "customer_id": customer_ids.gather(row),
            "rank": places_in_rows(row, len(scores)) + 1,
            "item_id": self.vocabulary.table["item_id"].gather(self.offered[column] - 1),
            "score": scores[row, column].astype(np.float64),
        }
        return pl.DataFrame(columns, schema=NO_RANKING.schema)


def load_next_item_predictor(member: Path, items: pl.DataFrame) -> NextItemPredictor:
    """A member ready to rank the items of a catalogue; ValueError where that is empty."""
    if items.is_empty():
        raise ValueError(f"member {member} ranks the items of a catalogue, and there are none")
    model, vocabulary, stored = load_next_item_model(member, items)
    return NextItemPredictor(model, vocabulary, stored, offered_numbers(vocabulary, items))


def offered_numbers(vocabulary: Vocabulary, items: pl.DataFrame) -> np.ndarray:
    """The numbers of the items of a catalogue in a vocabulary, ascending."""
    is_offered = vocabulary.table["item_id"].is_in(items["item_id"].implode())
    numbers: np.ndarray = np.flatnonzero(is_offered.to_numpy()) + 1
    return numbers
