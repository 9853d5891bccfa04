"""Why items are recommended."""

from dataclasses import replace
from datetime import timedelta

import polars as pl
from scipy import sparse

from lifecycle.artifact.contents import Artifact
from lifecycle.names import RETRIEVER
from lifecycle.recommend.rankers import Rankers
from lifecycle.recommend.scorers.decayed import DecayedFrequency
from serving.predict.predictor import Predictor
from serving.predict.queries import CustomerQuery, RecommendOptions
from serving.predict.reasons import NOT_SOLD, POPULAR
from serving.predict.recommendations import recommend
from serving.predict.similar import OF_CATEGORY, SAME_CATEGORY, similar_items
from tests.serving.builders import TEST_CUTOFF, events_of
from tests.serving.predict.builders import NOBODY, asked, buyer, served_by


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


def test_reason_names_the_own_item_that_is_most_alike_by_who_bought_both(
    artifact: Artifact,
) -> None:
    shop = served_by(artifact, RETRIEVER)
    assert shop.retriever is not None
    own = ("i5", "i8", "i30")
    (answer, nobody) = recommend(shop, [buyer(*own), NOBODY], RecommendOptions(k=100))
    alike = shop.retriever.similarity.toarray()
    places = {item: place for place, item in enumerate(shop.retriever.item_ids)}
    title = dict(shop.items.select("item_id", "title").iter_rows())
    named = 0
    for row in answer["recommendations"]:
        likeness = {item: alike[places[item], places[row["item_id"]]] for item in own}
        best = max(own, key=lambda item: likeness[item])
        if row["item_id"] in own:
            assert row["reason"] == "bought once before"
        elif likeness[best] == 0:
            assert row["reason"] == POPULAR
        else:
            assert row["reason"] == f"bought by customers who bought {title[best]}"
            named += 1
    assert named > 3
    assert {row["reason"] for row in nobody["recommendations"]} == {POPULAR}
    untitled = shop.items.with_columns(
        title=pl.lit(None, pl.String), category=pl.lit(None, pl.String)
    )
    told = asked(replace(shop, items=untitled), buyer("i5"), exclude=("i5",), k=1)
    assert told["recommendations"][0]["reason"] == "bought by customers who bought item i5"


def test_what_nobody_bought_is_not_called_popular(artifact: Artifact) -> None:
    assert artifact.retriever is not None and artifact.rankers is not None
    unsold = pl.when(pl.col("item_id") == "i7").then(0.0).otherwise("score").alias("score")
    popular = artifact.retriever.popular.with_columns(unsold).sort(-pl.col("score"), "item_id")
    none = sparse.csr_array(artifact.retriever.similarity.shape)
    retriever = replace(artifact.retriever, popular=popular, similarity=none)
    rankers = replace(artifact.rankers, retriever=retriever)
    shop = served_by(replace(artifact, rankers=rankers), "popularity")
    for query in (NOBODY, buyer("i5")):
        reasons = {
            row["item_id"]: row["reason"] for row in asked(shop, query, k=100)["recommendations"]
        }
        assert reasons["i7"] == NOT_SOLD and reasons["i6"] == POPULAR
    alike = similar_items(shop, "i3", RecommendOptions(candidates=("i7", "i8", "i11")))
    assert alike is not None
    told = {row["item_id"]: row["reason"] for row in alike["similar"]}
    assert told == {"i7": OF_CATEGORY, "i8": POPULAR, "i11": SAME_CATEGORY}
    other = similar_items(shop, "i4", RecommendOptions(candidates=("i7",)))
    assert other is not None and other["similar"][0]["reason"] == NOT_SOLD
