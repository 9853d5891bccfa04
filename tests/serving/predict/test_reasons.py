"""Why items are recommended."""

from dataclasses import replace
from datetime import timedelta

from lifecycle.recommend.rankers import Rankers
from lifecycle.recommend.scorers.decayed import DecayedFrequency
from serving.predict.predictor import Predictor
from serving.predict.queries import CustomerQuery, RecommendOptions
from serving.predict.recommendations import recommend
from tests.serving.builders import TEST_CUTOFF, events_of


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
