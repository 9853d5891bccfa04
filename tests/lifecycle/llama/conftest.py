"""The tiny shop as a sequence encoder reads it."""

from collections.abc import Iterator

import polars as pl
import pytest
import torch

from lifecycle.events.shards import read_items, read_shard, shard_paths
from lifecycle.features.sequence import (
    histories,
    window_of,
)
from lifecycle.features.vocabulary import (
    Vocabulary,
    VocabularyRules,
    fit_vocabulary,
)
from lifecycle.llama.sequence_model import SequenceModel
from tests.builders import TinyShop
from tests.lifecycle.llama.sequences import CUTOFF, SETTINGS, Known


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads of so small a model wait for each other most of the time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def vocabulary(tiny_shop: TinyShop) -> pl.DataFrame:
    """Every item of the tiny shop as known to enough customers."""
    counts = read_items(tiny_shop.data).select("item_id", customers=pl.lit(9))
    return fit_vocabulary(counts, read_items(tiny_shop.data), VocabularyRules()).table


@pytest.fixture(scope="module")
def shop_events(tiny_shop: TinyShop) -> pl.DataFrame:
    """All events by customer and time."""
    shards = pl.concat([read_shard(path) for path in shard_paths(tiny_shop.data)])
    return shards.sort("customer_id", "occurred_at", maintain_order=True)


@pytest.fixture(scope="module")
def known(shop_events: pl.DataFrame, vocabulary: pl.DataFrame) -> Known:
    """Histories of the tiny shop, a window for each customer, and an encoder with random weights."""
    names = Vocabulary(vocabulary)
    found = histories(shop_events, names)
    cutoff = int(CUTOFF.timestamp() * 1e6)
    windows = [
        window_of(found, number, cutoff, SETTINGS) for number in range(len(found.customer_ids))
    ]
    torch.manual_seed(0)
    model = SequenceModel(SETTINGS, names.num_items, names.num_categories)
    torch.nn.init.normal_(model.head.linear.weight)
    return found, windows, model.eval()
