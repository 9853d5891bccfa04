"""Histories, cutoffs and labels that the sequence encoder learns from."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from lifecycle.events.history import KEYS
from lifecycle.features.sequence import MICROSECONDS_PER_DAY
from tests.builders import TinyShop
from training.prepare.dataset import read_dataset
from training.prepare.sequences import FOLDER, read_sequences
from training.prepare.splits import is_validation_customer
from training.tasks.recipes.union import TrainConfig
from training.tasks.sequence import SequenceTask


@pytest.fixture(scope="module")
def task(sequence_config: TrainConfig) -> SequenceTask:
    return SequenceTask(sequence_config)


def test_stored_histories_are_all_events_of_all_customers(
    tiny_shop: TinyShop, events: pl.DataFrame
) -> None:
    stored = read_sequences(tiny_shop.examples / FOLDER)
    assert len(stored.known.at) == events.height
    assert stored.known.amount.sum() == pytest.approx(events["amount"].sum(), rel=1e-5)
    counts = dict(events["customer_id"].value_counts().iter_rows())
    lengths = dict(zip(stored.known.customer_ids, np.diff(stored.known.starts), strict=True))
    assert lengths == counts
    bought = (
        events.filter(pl.col("kind") == "purchase")
        .group_by("customer_id")
        .agg(pl.col("occurred_at").min())
    )
    first = dict(bought.select("customer_id", pl.col("occurred_at").cast(pl.Int64)).iter_rows())
    none = np.iinfo(np.int64).max
    found = dict(zip(stored.known.customer_ids, stored.first_purchase, strict=True))
    assert found == {name: first.get(name, none) for name in counts}


def test_rows_are_training_customers_and_cutoffs_lie_in_the_training_period(
    task: SequenceTask, tiny_shop: TinyShop
) -> None:
    facts = read_dataset(tiny_shop.examples)
    customers = task.known.customer_ids.gather(task.customers)
    assert not is_validation_customer(customers, 0).any()
    assert task.num_rows == facts.num_rows["train_customers"] > 200
    first, last = facts.train_cutoffs[0], facts.train_cutoffs[-1]
    days = set()
    for epoch in range(30):
        for window in task._windows(
            np.arange(0, task.num_rows, 7), np.full(len(range(0, task.num_rows, 7)), epoch)
        ):
            cutoff = datetime.fromtimestamp(window.cutoff / 1e6, UTC)
            assert cutoff.time() == datetime.min.time()
            days.add(cutoff.date())
    assert (min(days), max(days)) == (first, last)
    assert len(days) > 0.9 * (last - first).days


def test_label_of_a_window_is_the_spend_of_its_horizon(
    task: SequenceTask, events: pl.DataFrame
) -> None:
    rows, epochs = np.arange(40), np.full(40, 3)
    bought = events.filter(pl.col("kind") == "purchase")
    spent = 0
    for row, window in zip(rows, task._windows(rows, epochs), strict=True):
        customer = task.known.customer_ids[int(task.customers[row])]
        cutoff = datetime.fromtimestamp(window.cutoff / 1e6, UTC)
        ahead = bought.filter(
            (pl.col("customer_id") == customer)
            & (pl.col("occurred_at") >= cutoff)
            & (pl.col("occurred_at") < cutoff + timedelta(days=60))
        )
        assert task._spend(window) == pytest.approx(ahead["amount"].sum(), abs=1e-3)
        spent += ahead.height > 0
    assert spent > 10


def test_keys_are_those_of_the_examples(task: SequenceTask) -> None:
    val = pl.read_parquet(task.config.examples / "val.parquet")
    assert {"customer_id", "cutoff"} == set(KEYS) <= set(val.columns)
    ends = {window.cutoff // MICROSECONDS_PER_DAY for window in task.val_windows}
    assert len(ends) == 1
