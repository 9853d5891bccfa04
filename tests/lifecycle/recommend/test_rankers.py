"""Rankers by name: what callers can ask for, however odd, and files that say the same."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.names import RANK_STACK
from lifecycle.recommend.histories import order_counts, read_histories
from lifecycle.recommend.rankers import (
    BASELINES,
    Rankers,
    load_rankers,
    rank_items,
    save_rankers,
)
from lifecycle.recommend.retrieval import fit_retriever
from lifecycle.recommend.scorers.grids import KINDS
from lifecycle.recommend.scorers.ranker import Past, Ranker
from lifecycle.recommend.stack import rank_stack
from lifecycle.recommend.stack.rank_stack import MEMBERS, RankStack, learn, lesson
from tests.lifecycle.recommend.builders import unpriced_facts

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
FITTED: dict[str, Ranker] = {
    name: kind.fit(PAST, **kind.settings[0]) for name, kind in KINDS.items() if name != "als"
}
MEMBERS_FITTED = {name: FITTED[name] for name in MEMBERS}
FACTS = unpriced_facts(HISTORIES)
TREES = learn([lesson(HISTORIES, MEMBERS_FITTED, FACTS, order_counts(HISTORIES))], MEMBERS, seed=0)
FITTED[RANK_STACK] = RankStack(TREES, MEMBERS_FITTED, FACTS)
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


def test_the_stack_has_candidates_among_what_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_stack, "CANDIDATES", dict.fromkeys(MEMBERS, 2))
    proposed = ranked("repurchase", 30).filter(pl.col("customer_id") == "c3")["item_id"]
    bought = PURCHASES.filter(pl.col("customer_id") == "c3")["item_id"]
    least = proposed.filter(proposed.is_in(bought.implode()))[-3:]
    is_least = pl.col("item_id").is_in(least.implode())
    is_new = ~pl.col("item_id").is_in(bought.implode())
    popular = RETRIEVER.popular
    offered = pl.concat([popular.filter(is_new), popular.filter(is_least)])  # the least popular
    found = ranked(RANK_STACK, 4, offered).filter(pl.col("customer_id") == "c3")["item_id"]
    assert {*least[:2]} <= {*found}


@pytest.mark.parametrize("name", FITTED)
def test_files_say_the_same(name: str, tmp_path: Path) -> None:
    save_rankers(tmp_path, RANKERS)
    again = load_rankers(tmp_path, [name])
    assert set(again.fitted) == {name}
    found = rank_items(name, again, PURCHASES, IDS, cutoff=CUTOFF, k=9, exclude_seen=False)
    assert found.equals(ranked(name, 9))
    assert not load_rankers(tmp_path, ["personal_frequency"]).fitted


def fitted_to(past: Past) -> dict[str, Ranker]:
    """Every ranker of histories; the stack has the trees of the others."""
    fitted: dict[str, Ranker] = {
        name: kind.fit(past, **kind.settings[0]) for name, kind in KINDS.items() if name != "als"
    }
    facts = unpriced_facts(past.histories)
    return fitted | {RANK_STACK: RankStack(TREES, {name: fitted[name] for name in MEMBERS}, facts)}


@pytest.mark.parametrize("num_items", [1, 50_000])
def test_a_history_of_50000_lines_is_ranked_in_bounded_time(num_items: int) -> None:
    """Of the only item of a catalogue on 35 days, or of 50,000 items in as many orders."""
    minute = pl.int_range(50_000, eager=True)
    order = pl.lit(None, pl.String) if num_items == 1 else minute.cast(pl.String)
    long = pl.select(
        customer_id=pl.lit("c"),
        order_id=order,
        item_id=(minute % num_items).cast(pl.String),
        occurred_at=CUTOFF - pl.duration(minutes=minute + 1),
    ).with_columns(shop_day=pl.col("occurred_at").dt.date())
    ids = pl.Series("customer_id", ["c"])
    retriever = fit_retriever([long], long["item_id"].unique(), cutoff=CUTOFF)
    histories = read_histories(long, ids, retriever.item_ids, cutoff=CUTOFF)
    assert histories.num_orders.tolist() == [35 if num_items == 1 else 50_000]
    rankers = Rankers(retriever, fitted_to(Past(histories, retriever.similarity)))
    for name in (*BASELINES, "retriever", *rankers.fitted):
        started_at = time.perf_counter()
        found = rank_items(name, rankers, long, ids, cutoff=CUTOFF, k=5, exclude_seen=False)
        # A fifth of a second on a quiet core.
        assert time.perf_counter() - started_at < 5
        assert found["item_id"].n_unique() == min(num_items, 5)
