"""Orders that lost some of their lines while others stay, as where only an order's first line has its status."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
import polars as pl

MAX_PARTS = 64  # that wait to be merged
LostOrders = Mapping[
    str, np.ndarray
]  # by the reason: ascending hashes of the ids of orders that have lost a line


class DroppedOrders:
    """Hashes of the ids of orders that have lost a line, by the reason; 8 bytes for each."""

    def __init__(self) -> None:
        self.parts: dict[str, list[np.ndarray]] = {}

    def add(self, reason: str, rows: pl.DataFrame) -> None:
        """Take in rows that are left out; those without `order_id` are of no order."""
        if "order_id" not in rows.columns or rows["order_id"].null_count() == rows.height:
            return
        parts = self.parts.setdefault(reason, [])
        parts.append(_hashes(rows["order_id"]))
        if len(parts) > MAX_PARTS:
            parts[:] = [np.unique(np.concatenate(parts))]

    def found(self) -> LostOrders:
        """All of them."""
        return {reason: np.unique(np.concatenate(parts)) for reason, parts in self.parts.items()}


def num_kept_in_part(lost: LostOrders, order_ids: pl.Series) -> Counter[str]:
    """How many of these orders, of which lines are kept, have lost others, by the reason."""
    if not lost:
        return Counter()
    kept = _hashes(order_ids)
    found: Counter[str] = Counter()
    for reason, hashes in lost.items():
        places = np.minimum(np.searchsorted(hashes, kept), hashes.size - 1)
        found[reason] = int((hashes[places] == kept).sum())
    return +found


def _hashes(order_ids: pl.Series) -> np.ndarray:
    return order_ids.drop_nulls().unique().hash().to_numpy()
