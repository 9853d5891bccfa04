"""The LLaMA over purchases that an artifact ranks with; torch is imported where it is first asked, and nowhere else."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from lifecycle.llama.next_item.predict import NextItemPredictor


@dataclass(frozen=True)
class LateEncoder:
    """A member of task next_item and the catalogue it ranks; see `lifecycle.recommend.rankers.Encoder`."""

    folder: Path
    items: pl.DataFrame

    @cached_property
    def _predictor(self) -> "NextItemPredictor":
        import torch

        from lifecycle.llama.next_item.predict import load_next_item_predictor

        torch.set_num_threads(1)  # of a replica, which has one core
        return load_next_item_predictor(self.folder, self.items)

    def rank(
        self,
        purchases: pl.DataFrame,
        customer_ids: pl.Series,
        *,
        k: int,
        exclude_seen: bool,
        offered: pl.Series | None = None,
    ) -> pl.DataFrame:
        """See Encoder."""
        return self._predictor.rank(
            purchases, customer_ids, k=k, exclude_seen=exclude_seen, offered=offered
        )
