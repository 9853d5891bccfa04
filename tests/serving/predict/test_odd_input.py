"""Recommendations of odd shops and for odd customers: each an answer or a clear refusal."""

import time
from dataclasses import replace

import polars as pl
import pytest

from lifecycle.artifact.contents import Artifact
from lifecycle.names import RETRIEVER
from lifecycle.recommend.rankers import Rankers
from lifecycle.recommend.retrieval import fit_retriever
from lifecycle.recommend.scorers.decayed import DecayedFrequency
from serving.predict.problems import InvalidRequest
from serving.predict.queries import CustomerQuery, RecommendOptions
from serving.predict.similar import similar_items
from tests.serving.builders import TEST_CUTOFF, events_of
from tests.serving.predict.builders import (
    DECAYED,
    NOBODY,
    RANKERS,
    asked,
    buyer,
    items_in,
    served_by,
)


@pytest.mark.parametrize("name", RANKERS)
def test_where_everything_is_excluded_the_list_is_empty_by_any_ranker_and_rule(
    artifact: Artifact, name: str
) -> None:
    with_margin = artifact.items.with_columns(margin=pl.lit(0.5))
    shop = served_by(replace(artifact, items=with_margin), name)
    nothing = {"exclude": tuple(artifact.items["item_id"])}
    rules: list[dict[str, object]] = [
        {},
        {"objective": "margin"},
        {"max_per_category": 1},
        {"bought_within_days": 9, "min_new_share": 0.5},
    ]
    for query in (buyer("i1", "i2"), NOBODY):
        for rule in rules:
            assert items_in(asked(shop, query, **nothing, **rule)) == []
    assert similar_items(shop, "i1", RecommendOptions(**nothing)) == {
        "item_id": "i1",
        "similar": [],
    }


def test_of_an_empty_catalogue_nothing_can_be_asked(artifact: Artifact) -> None:
    empty = replace(artifact, items=artifact.items.clear(), rankers=None)
    with pytest.raises(InvalidRequest, match="^customers: .* name no items"):
        asked(empty, NOBODY)
    with pytest.raises(InvalidRequest, match="^item_id: .* name no items"):
        similar_items(empty, "i1", RecommendOptions())


@pytest.mark.parametrize("name", RANKERS)
def test_a_catalogue_of_one_is_all_that_is_recommended(artifact: Artifact, name: str) -> None:
    bought = buyer("i1", "i2", num_orders=3).events
    retriever = fit_retriever(
        [bought.with_columns(shop_day=None)], pl.Series(["i1"]), cutoff=TEST_CUTOFF
    )
    one = replace(
        artifact,
        items=artifact.items.filter(pl.col("item_id") == "i1"),
        rankers=Rankers(retriever, {DECAYED: DecayedFrequency(90.0)}),
    )
    for query in (buyer("i1", "i2"), buyer("i2"), NOBODY):
        for options in ({}, {"max_per_category": 1, "k": 100}):
            assert items_in(asked(served_by(one, name), query, **options)) == ["i1"]
    assert similar_items(one, "i1", RecommendOptions()) == {"item_id": "i1", "similar": []}


def test_who_bought_only_what_left_the_catalogue_is_known_and_gets_what_is_popular(
    artifact: Artifact,
) -> None:
    assert artifact.retriever is not None
    popular = artifact.retriever.popular["item_id"][:5].to_list()
    for name in RANKERS:
        answer = asked(served_by(artifact, name), buyer("gone", "lost", num_orders=6), k=5)
        assert items_in(answer) == popular
        assert (answer["group"], answer["model"]) == ("rich", name)
        assert {row["reason"] for row in answer["recommendations"]} == {
            "popular with other customers"
        }


def test_equal_scores_come_in_one_order_whatever_that_of_the_events(artifact: Artifact) -> None:
    query = buyer("i9", "i10", "i3", "i21", num_orders=4)
    for name in RANKERS:
        shop = served_by(artifact, name)
        first = asked(shop, query)
        for seed in range(3):
            mixed = query.events.sample(fraction=1.0, shuffle=True, seed=seed)
            assert asked(shop, replace(query, events=mixed)) == first
    own = asked(served_by(artifact, "personal_frequency"), query, k=4)
    assert items_in(own) == ["i10", "i21", "i3", "i9"]


@pytest.mark.parametrize("name", [RETRIEVER, DECAYED])
def test_a_history_of_50000_events_is_answered_in_bounded_time(
    artifact: Artifact, name: str
) -> None:
    number = pl.int_range(50_000, eager=True)
    row = events_of({"occurred_at": TEST_CUTOFF, "order_id": "o", "item_id": "i1"})
    events = pl.concat([row] * len(number)).with_columns(
        event_id=number.cast(pl.String),
        occurred_at=TEST_CUTOFF - pl.duration(minutes=30 * number + 1),
        order_id=(number // 3).cast(pl.String),
        item_id="i" + (number * 7 % 40).cast(pl.String),
    )
    started_at = time.perf_counter()
    answer = asked(
        served_by(artifact, name), CustomerQuery("x", events, {}, as_of=TEST_CUTOFF), k=40
    )
    # A tenth of a second on a quiet core.
    assert time.perf_counter() - started_at < 5
    assert len(set(items_in(answer))) == 40 and answer["group"] == "rich"
