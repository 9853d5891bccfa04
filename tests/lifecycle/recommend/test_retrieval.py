"""Candidate retrieval: similarity, fusion, catalogue membership, files."""

import math
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import sparse

from lifecycle.recommend import neighbours
from lifecycle.recommend.neighbours import SHRINKAGE, nearest_neighbours
from lifecycle.recommend.retrieval import (
    FUSION_CONSTANT,
    OWN_WEIGHT,
    POPULAR_WEIGHT,
    TOGETHER_WEIGHT,
    Retriever,
    fit_retriever,
    load_retriever,
    propose,
    save_retriever,
)

CUTOFF = datetime(2024, 3, 1, tzinfo=UTC)
CATALOGUE = pl.Series(
    [f"i{number:02d}" for number in range(40)]
)  # purchases know i00 to i29 and three others
Line = tuple[str, str | None, str, float]


def purchases(rows: list[Line]) -> pl.DataFrame:
    """Lines (customer_id, order_id, item_id, days before the cutoff)."""
    schema = {
        "customer_id": pl.String,
        "order_id": pl.String,
        "item_id": pl.String,
        "days": pl.Float64,
    }
    at = pl.lit(CUTOFF) - pl.duration(microseconds=(pl.col("days") * 86_400e6).cast(pl.Int64))
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.select(
        "customer_id", "order_id", "item_id", at.dt.cast_time_unit("us").alias("occurred_at")
    )


def random_lines(seed: int, num_lines: int = 300) -> list[Line]:
    random = np.random.default_rng(seed)
    customers = random.integers(0, 12, num_lines)
    items = random.zipf(1.4, num_lines) % 33
    days = np.round(random.uniform(0.1, 80, num_lines), 3).tolist()
    names = [f"i{item:02d}" if item < 30 else f"gone{item}" for item in items]
    return [
        (f"c{c}", f"o{c}-{int(d)}", name, d)
        for c, name, d in zip(customers, names, days, strict=True)
    ]


LINES = purchases(random_lines(1))
IDS = pl.Series(["c5", "stranger", "c0", "c11"])
RETRIEVER = fit_retriever([LINES], CATALOGUE, cutoff=CUTOFF, num_recent=6, num_neighbours=5)


def offer(
    retriever: Retriever, lines: pl.DataFrame, *, exclude_seen: bool = False, n: int = 15
) -> pl.DataFrame:
    return propose(
        retriever, lines, IDS, cutoff=CUTOFF, num_candidates=n, exclude_seen=exclude_seen
    )


def ranks(scores: dict[str, float]) -> dict[str, int]:
    ordered = sorted(scores, key=lambda item: (-scores[item], item))
    return {item: place for place, item in enumerate(ordered, start=1)}


def candidates_by_loop(
    customer: str, num_candidates: int, *, exclude_seen: bool
) -> dict[str, float]:
    """Second route: the documented formula for one customer with dicts and dense loops."""
    lines = [line for line in random_lines(1) if line[2].startswith("i")]
    recent_of: dict[str, list[str]] = {}
    for name in {line[0] for line in lines}:
        newest: dict[str, float] = {}
        for _, _, item, days in (line for line in lines if line[0] == name):
            newest[item] = min(days, newest.get(item, days))
        recent_of[name] = sorted(newest, key=lambda item: (newest[item], item))[:6]
    buyers: dict[str, set[str]] = defaultdict(set)
    for name, items in recent_of.items():
        for item in items:
            buyers[item].add(name)

    def neighbours(item: str) -> dict[str, float]:
        cosine = {
            other: len(buyers[item] & buyers[other])
            / (math.sqrt(len(buyers[item]) * len(buyers[other])) + SHRINKAGE)
            for other in buyers
            if other != item and buyers[item] & buyers[other]
        }
        return {other: cosine[other] for other, place in ranks(cosine).items() if place <= 5}

    newest_in_order: dict[tuple[str, str], float] = {}
    for _, order, item, days in (line for line in lines if line[0] == customer):
        key = (item, str(order))
        newest_in_order[key] = min(days, newest_in_order.get(key, days))
    own: dict[str, float] = defaultdict(float)
    for (item, _), days in newest_in_order.items():
        own[item] += 0.5 ** (days / 90)
    together: dict[str, float] = defaultdict(float)
    for item in recent_of.get(customer, []):
        for other, similarity in neighbours(item).items():
            together[other] += similarity
    days_bought = {
        item: {(c, math.ceil(d)) for c, _, i, d in lines if i == item} for item in CATALOGUE
    }
    popular = {item: float(len(pairs)) for item, pairs in days_bought.items()}
    seen = set(own) if exclude_seen else set()
    popular = {
        item: popular[item]
        for item in sorted(popular, key=ranks(popular).__getitem__)
        if item not in seen
    }
    popular = dict(list(popular.items())[:num_candidates])
    together = {item: score for item, score in together.items() if item not in seen}
    fused: dict[str, float] = defaultdict(float)
    lists = ((own, OWN_WEIGHT), (together, TOGETHER_WEIGHT), (popular, POPULAR_WEIGHT))
    for scores, weight in lists[1:] if exclude_seen else lists:
        for item, place in ranks(scores).items():
            fused[item] += weight / (FUSION_CONSTANT + place)
    return {item: fused[item] for item, place in ranks(fused).items() if place <= num_candidates}


@pytest.mark.parametrize("exclude_seen", [False, True])
def test_candidates_follow_the_documented_fusion(exclude_seen: bool) -> None:
    offered = offer(RETRIEVER, LINES, exclude_seen=exclude_seen)
    for customer in IDS:
        rows = offered.filter(pl.col("customer_id") == customer)
        expected = candidates_by_loop(customer, 15, exclude_seen=exclude_seen)
        assert dict(rows.select("item_id", "score").iter_rows()) == pytest.approx(expected)
        assert rows["rank"].to_list() == list(range(1, 16))
        assert rows["score"].is_sorted(descending=True)
    assert offered["customer_id"].unique(maintain_order=True).to_list() == IDS.to_list()


def test_similarity_is_the_shrunk_cosine_of_the_nearest_items() -> None:
    random = np.random.default_rng(3)
    baskets = (random.random((50, 12)) < 0.3).astype(float)
    found = nearest_neighbours(sparse.csr_array(baskets), 4).toarray()
    together = baskets.T @ baskets
    counts = baskets.sum(axis=0)
    expected = together / (np.sqrt(np.outer(counts, counts)) + SHRINKAGE)
    np.fill_diagonal(expected, 0.0)
    for item in range(12):
        nearest = np.argsort(-expected[item], kind="stable")[:4]
        assert set(np.flatnonzero(found[item])) == set(nearest[expected[item, nearest] > 0])
        np.testing.assert_allclose(found[item, nearest], expected[item, nearest])


def test_similarity_does_not_depend_on_the_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    baskets = sparse.csr_array((np.random.default_rng(4).random((60, 25)) < 0.2).astype(float))
    whole = nearest_neighbours(baskets, 3)
    monkeypatch.setattr(neighbours, "BLOCK_ITEMS", 7)
    np.testing.assert_array_equal(nearest_neighbours(baskets, 3).toarray(), whole.toarray())


def test_only_catalogue_items_come_back_however_many_are_asked_for() -> None:
    for exclude_seen in (False, True):
        offered = offer(RETRIEVER, LINES, exclude_seen=exclude_seen, n=500)
        assert offered["item_id"].is_in(CATALOGUE.implode()).all()
    bought = LINES.filter(
        pl.col("customer_id") == "c0", pl.col("item_id").is_in(CATALOGUE.implode())
    )
    assert (offered["customer_id"] == "c0").sum() == len(CATALOGUE) - bought["item_id"].n_unique()
    assert (offered["customer_id"] == "stranger").sum() == len(CATALOGUE)


def test_exclude_seen_leaves_out_every_item_already_bought() -> None:
    offered = offer(RETRIEVER, LINES, exclude_seen=True, n=40)
    assert offered.join(LINES, on=["customer_id", "item_id"]).is_empty()


def test_a_customer_without_history_gets_the_popular_items() -> None:
    offered = offer(RETRIEVER, LINES).filter(pl.col("customer_id") == "stranger")
    assert offered["item_id"].to_list() == RETRIEVER.popular["item_id"].head(15).to_list()


def test_events_at_or_after_the_cutoff_change_nothing() -> None:
    later = purchases([(c, o, i, -d) for c, o, i, d in random_lines(9)] + [("c0", "x", "i01", 0.0)])
    mixed = pl.concat([later, LINES])
    refitted = fit_retriever([mixed], CATALOGUE, cutoff=CUTOFF, num_recent=6, num_neighbours=5)
    assert offer(refitted, mixed).equals(offer(RETRIEVER, LINES))


def test_shards_row_order_and_catalogue_order_change_nothing() -> None:
    shuffled = LINES.sample(fraction=1.0, shuffle=True, seed=5)
    first = pl.col("customer_id").is_in(["c1", "c11", "c5"])
    shards = [shuffled.filter(first), shuffled.filter(~first)]
    catalogue = pl.concat([CATALOGUE.reverse(), CATALOGUE.head(3)])
    refitted = fit_retriever(shards, catalogue, cutoff=CUTOFF, num_recent=6, num_neighbours=5)
    assert offer(refitted, shuffled).equals(offer(RETRIEVER, LINES))


def test_a_customer_alone_gets_what_they_get_in_a_batch() -> None:
    batch = offer(RETRIEVER, LINES)
    for customer in IDS:
        own = LINES.filter(pl.col("customer_id") == customer)
        ids = pl.Series([customer])
        alone = propose(RETRIEVER, own, ids, cutoff=CUTOFF, num_candidates=15, exclude_seen=False)
        assert alone.equals(batch.filter(pl.col("customer_id") == customer))


def test_items_of_the_same_orders_tie_and_go_by_item_id() -> None:
    rows: list[Line] = [
        ("a", f"o{day}", item, day) for day in (3.3, 7.7, 1.1) for item in ("i07", "i02", "i05")
    ]
    lines = purchases(rows)
    retriever = fit_retriever([lines], CATALOGUE, cutoff=CUTOFF)
    offered = propose(
        retriever, lines, pl.Series(["a"]), cutoff=CUTOFF, num_candidates=3, exclude_seen=False
    )
    assert offered["item_id"].to_list() == ["i02", "i05", "i07"]


def test_a_saved_retriever_proposes_the_same(tmp_path: Path) -> None:
    save_retriever(tmp_path, RETRIEVER)
    loaded = load_retriever(tmp_path)
    for exclude_seen in (False, True):
        assert offer(loaded, LINES, exclude_seen=exclude_seen).equals(
            offer(RETRIEVER, LINES, exclude_seen=exclude_seen)
        )
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".parquet", ".parquet"]


def test_a_shop_without_purchases_offers_its_catalogue() -> None:
    for shards in ([], [LINES.clear()]):
        retriever = fit_retriever(shards, CATALOGUE, cutoff=CUTOFF)
        assert offer(retriever, LINES.clear(), n=2)["item_id"].to_list() == ["i00", "i01"] * len(
            IDS
        )


def test_settings_and_catalogues_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match="catalogue is empty"):
        fit_retriever([LINES], CATALOGUE.clear(), cutoff=CUTOFF)
    with pytest.raises(ValueError, match="half_life_days"):
        fit_retriever([LINES], CATALOGUE, cutoff=CUTOFF, half_life_days=0.0)
    with pytest.raises(ValueError, match="num_candidates is 0"):
        offer(RETRIEVER, LINES, n=0)
