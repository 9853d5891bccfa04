"""Recommendations: the judged rankings, who gets what, and why."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from lifecycle.events.schema import EVENT_SCHEMA
from lifecycle.recommend.retrieval import propose
from serving.predict.predictor import Predictor
from serving.predict.queries import CustomerQuery, RecommendOptions
from serving.predict.recommendations import recommend
from tests.serving.builders import TEST_CUTOFF, events_of, items_of


def test_customer_without_history_gets_popular_items(predictor: Predictor) -> None:
    assert predictor.artifact.retriever is not None
    empty = CustomerQuery(None, pl.DataFrame(schema=EVENT_SCHEMA), {})
    assert (
        items_of(predictor, empty, k=5)
        == predictor.artifact.retriever.popular["item_id"][:5].to_list()
    )
    (answer,) = predictor.recommend([empty], RecommendOptions())
    assert (answer["group"], answer["customer_id"]) == ("new", None)
    assert answer["model"] == "popularity"


def test_retriever_serves_under_every_filter_and_says_why(
    predictor: Predictor, queries: list[CustomerQuery]
) -> None:
    artifact = replace(
        predictor.artifact, settings=replace(predictor.artifact.settings, recommender="retriever")
    )
    assert artifact.retriever is not None
    query, catalogue = queries[0], artifact.items
    (answer,) = recommend(artifact, [query], RecommendOptions(k=20))
    bought = query.events.filter(pl.col("kind") == "purchase").with_columns(customer_id=pl.lit("x"))
    expected = propose(
        artifact.retriever,
        bought,
        pl.Series("customer_id", ["x"]),
        cutoff=datetime(2030, 1, 1, tzinfo=UTC),
        num_candidates=20,
        exclude_seen=False,
    )
    assert {row["item_id"] for row in answer["recommendations"]} == set(expected["item_id"])
    reasons = [row["reason"] for row in answer["recommendations"]]
    assert any(reason.startswith("bought by customers who bought ") for reason in reasons)
    tea = set(catalogue.filter(pl.col("category") == "tea")["item_id"])
    (answer,) = recommend(artifact, [query], RecommendOptions(k=100, category="tea"))
    assert {row["item_id"] for row in answer["recommendations"]} == tea
    (answer,) = recommend(artifact, [query], RecommendOptions(candidates=("i3", "i7")))
    assert {row["item_id"] for row in answer["recommendations"]} == {"i3", "i7"}
    empty = CustomerQuery(None, pl.DataFrame(schema=EVENT_SCHEMA), {})
    (answer,) = recommend(artifact, [empty], RecommendOptions(k=5))
    popular = artifact.retriever.popular["item_id"][:5].to_list()
    assert [row["item_id"] for row in answer["recommendations"]] == popular


def test_artifact_without_items_recommends_nothing(predictor: Predictor) -> None:
    with pytest.raises(ValueError, match="^customers: .*name no items"):
        recommend(replace(predictor.artifact, rankers=None), [], RecommendOptions())


def test_lines_of_one_evening_of_the_shop_are_one_order(predictor: Predictor) -> None:
    berlin = replace(predictor.artifact.settings, timezone="Europe/Berlin")
    artifact = replace(predictor.artifact, settings=berlin)
    day = TEST_CUTOFF - timedelta(days=10)
    evening = [day - timedelta(minutes=5), day + timedelta(minutes=5)]  # two days of UTC
    lines = [{"occurred_at": at, "item_id": "i5"} for at in evening]
    query = CustomerQuery("x", events_of(*lines), {})
    options = RecommendOptions(candidates=("i5",))
    (answer,) = recommend(artifact, [query], options)
    assert answer["recommendations"][0]["reason"] == "bought once before"
    (answer,) = recommend(predictor.artifact, [query], options)
    assert answer["recommendations"][0]["reason"] == "bought in 2 orders before"
