"""Recommendations: the judged rankings, who gets what, and why."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from lifecycle.events.schema import EVENT_SCHEMA
from lifecycle.names import ROUTER
from lifecycle.recommend.rankers import Rankers
from lifecycle.recommend.retrieval import propose
from lifecycle.recommend.scorers.decayed import DecayedFrequency
from serving.api.responses import CustomerRecommendations
from serving.predict.predictor import Predictor
from serving.predict.queries import CustomerQuery, RecommendOptions
from serving.predict.recommendations import recommend
from tests.serving.builders import TEST_CUTOFF, events_of, items_of


@pytest.mark.parametrize(
    "by_group",
    [
        {},
        {"new": "popularity"},
        {"rich": "popularity"},
        {"new": "personal_frequency", "thin": "popularity", "rich": "personal_frequency"},
    ],
)
def test_recommendations_at_the_test_cutoff_are_the_judged_rankings_of_each_group(
    predictor: Predictor,
    queries: list[CustomerQuery],
    tiny_artifact: Path,
    by_group: dict[str, str],
) -> None:
    settings = replace(predictor.artifact.settings, recommender_by_group=by_group)
    artifact = replace(predictor.artifact, settings=settings)
    rankings = pl.read_parquet(tiny_artifact.parent / "rankings.parquet")
    judged = rankings.sort("rank").group_by("customer_id", "model")
    expected = {pair: list(rows.select("item_id", "score").iter_rows()) for pair, rows in judged}
    customers = set(rankings["customer_id"])
    asked = [
        replace(query, as_of=TEST_CUTOFF) for query in queries if query.customer_id in customers
    ]
    answers = recommend(artifact, asked, RecommendOptions(k=20))
    assert {answer["group"] for answer in answers} == {"new", "thin", "rich"}
    for answer in answers:
        CustomerRecommendations.model_validate(answer)
        assert answer["model"] == by_group.get(answer["group"], settings.recommender)
        found = [(row["item_id"], row["score"]) for row in answer["recommendations"]]
        assert found == expected[(answer["customer_id"], answer["model"])]
        if not by_group:
            assert found == expected[(answer["customer_id"], ROUTER)]


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


def test_reason_counts_orders_not_lines(predictor: Predictor) -> None:
    at = TEST_CUTOFF - timedelta(days=10)
    lines = [
        {"occurred_at": at, "order_id": order, "item_id": "i5"} for order in ("o1", "o1", "o2")
    ]
    lines.append({"occurred_at": at, "order_id": "o2", "item_id": "i6"})
    query = CustomerQuery("x", events_of(*lines), {})
    (answer,) = predictor.recommend([query], RecommendOptions(candidates=("i5", "i6", "i7")))
    reasons = {row["item_id"]: row["reason"] for row in answer["recommendations"]}
    assert reasons == {
        "i5": "bought in 2 orders before",
        "i6": "bought once before",
        "i7": "popular with other customers",
    }


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
    reasons = {row["reason"] for row in answer["recommendations"]}
    assert "bought together with earlier purchases" in reasons
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


def test_reason_says_what_is_due_where_intervals_count(predictor: Predictor) -> None:
    days = {"i5": (42, 28, 14), "i6": (300, 200, 5), "i7": (28, 14)}
    lines = [
        {
            "occurred_at": TEST_CUTOFF - timedelta(days=day),
            "order_id": f"{item}-{day}",
            "item_id": item,
        }
        for item, bought in days.items()
        for day in bought
    ]
    query = CustomerQuery("x", events_of(*lines), {}, as_of=TEST_CUTOFF)
    settings = replace(predictor.artifact.settings, recommender="repurchase")
    assert predictor.artifact.retriever is not None
    # Counts in the place of a kernel: the reasons look at purchases alone.
    rankers = Rankers(predictor.artifact.retriever, {"repurchase": DecayedFrequency(90.0)})
    artifact = replace(predictor.artifact, settings=settings, rankers=rankers)
    options = RecommendOptions(candidates=tuple(days))
    (answer,) = recommend(artifact, [query], options)
    reasons = {row["item_id"]: row["reason"] for row in answer["recommendations"]}
    assert reasons == {
        "i5": "due: bought every 14 days, last 14 days ago",
        "i6": "bought in 3 orders before",
        "i7": "bought in 2 orders before",
    }
    (answer,) = recommend(predictor.artifact, [query], options)
    assert answer["recommendations"][0]["reason"] == "bought in 3 orders before"
