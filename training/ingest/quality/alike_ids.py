"""Ids that differ only in capital letters, zeros in front, blanks or marks, as where one export lost its zeros."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl

from training.results.quality import AlikeIds

# Blanks, control characters, joiners of no width; what Excel puts around and into ids: ="00042", '00042, 17,850.
NOT_WRITTEN = r"""[\s\p{Cc}\p{Cf}"'=,]"""
ZEROS = r"^0+([^0])"


def form_hashes(customer_ids: pl.Series) -> np.ndarray:
    """Of each of these distinct ids a hash of what is left without all that."""
    return _forms(customer_ids).hash().to_numpy()


def alike_ids(hashes: Iterable[np.ndarray], shards: Iterable[Path]) -> AlikeIds:
    """How many ids have others alike, by the hashes of all shards, and an example out of the written shards."""
    forms, counts = np.unique(
        np.concatenate([*hashes, np.array([], np.uint64)]), return_counts=True
    )
    is_shared = counts > 1
    if not is_shared.any():
        return AlikeIds()
    wanted = forms[is_shared][0]
    found: list[str] = []
    for shard in shards:
        ids = pl.read_parquet(shard, columns=["customer_id"])["customer_id"].unique()
        found += ids.filter(pl.Series(_forms(ids).hash().to_numpy() == wanted)).to_list()
    return AlikeIds(ids=int(counts[is_shared].sum()), example=tuple(sorted(found)))


def _forms(ids: pl.Series) -> pl.Series:
    lowered = ids.str.normalize("NFKC").str.to_lowercase().str.replace_all(NOT_WRITTEN, "")
    return lowered.str.replace(ZEROS, "${1}")
