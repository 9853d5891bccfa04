"""Rankers by name: what callers can ask for, however odd, and files that say the same."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import sparse

from lifecycle.recommend.histories import read_histories
from lifecycle.recommend.rankers import (
    BASELINES,
    Rankers,
    load_rankers,
    rank_items,
    save_rankers,
)
from lifecycle.recommend.retrieval import fit_retriever
from lifecycle.recommend.scorers.grids import KINDS
from lifecycle.recommend.scorers.ranker import Past

CUTOFF = datetime(2024, 3, 1, tzinfo=UTC)
CATALOGUE = pl.Series([f"i{number:02d}" for number in range(30)])
IDS = pl.Series("customer_id", ["c3", "stranger", "left", "c0"])
EVERYBODY = pl.Series("customer_id", [f"c{number}" for number in range(9)])


def purchases() -> pl.DataFrame:
    """Of nine customers, and of one whose every item left the catalogue."""
    random = np.random.default_rng(0)
    rows = [
        (f"c{customer}", f"o{customer}-{day}", f"i{item:02d}", CUTOFF - timedelta(days=int(day)))
        for customer, item, day in random.integers([0, 0, 1], [9, 25, 90], size=(300, 3))
    ]
    rows.append(("left", "o", "gone", CUTOFF - timedelta(days=3)))
    columns = ["customer_id", "order_id", "item_id", "occurred_at"]
    return pl.DataFrame(rows, schema=columns, orient="row")


PURCHASES = purchases()
RETRIEVER = fit_retriever([PURCHASES], CATALOGUE, cutoff=CUTOFF)
HISTORIES = read_histories(PURCHASES, EVERYBODY, RETRIEVER.item_ids, cutoff=CUTOFF)
PAST = Past(HISTORIES, RETRIEVER.similarity)
FITTED = {name: kind.fit(PAST, **kind.settings[0]) for name, kind in KINDS.items() if name != "als"}
RANKERS = Rankers(RETRIEVER, FITTED)
NAMES = (*BASELINES, "retriever", *FITTED)


def ranked(name: str, k: int, offered: pl.DataFrame | None = None, **told: bool) -> pl.DataFrame:
    exclude_seen = told.get("exclude_seen", False)
    in_catalogue = PURCHASES["item_id"].is_in(CATALOGUE.implode())
    return rank_items(
        name,
        RANKERS,
        PURCHASES.filter(in_catalogue) if name in BASELINES else PURCHASES,
        IDS,
        cutoff=CUTOFF,
        k=k,
        exclude_seen=exclude_seen,
        offered=offered,
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_ranker_answers_what_can_be_asked(name: str) -> None:
    whole = ranked(name, 100)
    assert whole["customer_id"].to_list() == [one for one in IDS for _ in range(30)]
    assert whole.group_by("customer_id").agg(pl.col("item_id").n_unique())["item_id"].min() == 30
    popular = RETRIEVER.popular["item_id"][:5].to_list()
    for unknown in ("stranger", "left"):
        mine = ranked(name, 5).filter(pl.col("customer_id") == unknown)
        assert mine["item_id"].to_list() == popular
    assert ranked(name, 5, RETRIEVER.popular.clear()).is_empty()
    one = RETRIEVER.popular.filter(pl.col("item_id") == "i07")
    assert ranked(name, 5, one)["item_id"].to_list() == ["i07"] * 4
    unseen = ranked(name, 30, exclude_seen=True).join(
        PURCHASES, on=["customer_id", "item_id"], how="semi"
    )
    assert unseen.is_empty()


@pytest.mark.parametrize("name", FITTED)
def test_files_say_the_same(name: str, tmp_path: Path) -> None:
    save_rankers(tmp_path, RANKERS)
    again = load_rankers(tmp_path, [name])
    assert set(again.fitted) == {name}
    found = rank_items(name, again, PURCHASES, IDS, cutoff=CUTOFF, k=9, exclude_seen=False)
    assert found.equals(ranked(name, 9))
    assert not load_rankers(tmp_path, ["personal_frequency"]).fitted


def test_a_catalogue_of_one_and_a_history_of_50000_lines() -> None:
    at = [CUTOFF - timedelta(minutes=minute + 1) for minute in range(50_000)]
    long = pl.DataFrame({"customer_id": "c", "order_id": None, "item_id": "i", "occurred_at": at})
    long = long.cast({"order_id": pl.String}).with_columns(shop_day=pl.col("occurred_at").dt.date())
    ids = pl.Series("customer_id", ["c"])
    retriever = fit_retriever([long], pl.Series(["i"]), cutoff=CUTOFF)
    histories = read_histories(long, ids, retriever.item_ids, cutoff=CUTOFF)
    assert histories.num_orders.tolist() == [35]
    past = Past(histories, sparse.csr_array((1, 1)))
    for name, kind in KINDS.items():
        if name != "als":
            rankers = Rankers(retriever, {name: kind.fit(past, **kind.settings[0])})
            found = rank_items(name, rankers, long, ids, cutoff=CUTOFF, k=5, exclude_seen=False)
            assert found["item_id"].to_list() == ["i"]
