"""Who is answered by which ranker, as the arena has judged them."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from scipy import sparse

from lifecycle.artifact.contents import Artifact
from lifecycle.features.attributes import AttributeCode
from lifecycle.names import RETRIEVER, ROUTER, SEGMENT_POPULARITY
from lifecycle.recommend.groups import customer_group
from lifecycle.recommend.rankers import rank_items
from lifecycle.recommend.segments import SegmentCounts, Segments
from serving.api.responses import CustomerRecommendations
from serving.predict.predictor import Predictor
from serving.predict.queries import CustomerQuery, RecommendOptions
from serving.predict.recommendations import recommend
from tests.builders import TinyShop
from tests.serving.builders import TEST_CUTOFF
from tests.serving.predict.builders import DECAYED, NOBODY, asked, buyer, items_in
from training.evaluate.recommend.tasks import purchase_shards

EARLY = datetime(2024, 3, 1, tzinfo=UTC)  # when few of the tiny shop have bought often


@pytest.mark.parametrize(
    "by_group",
    [
        {},
        {"thin": "popularity"},
        {"rich": "popularity"},
        {"new": "popularity", "thin": "popularity", "rich": "personal_frequency"},
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
    assert {answer["group"] for answer in answers} == {"thin", "rich"}
    for answer in answers:
        CustomerRecommendations.model_validate(answer)
        assert answer["model"] == by_group.get(answer["group"], settings.recommender)
        found = [(row["item_id"], row["score"]) for row in answer["recommendations"]]
        assert found == expected[(answer["customer_id"], answer["model"])]
        if not by_group:
            assert found == expected[(answer["customer_id"], ROUTER)]


def test_customers_of_every_group_are_ranked_as_the_arena_ranks(
    artifact: Artifact, queries: list[CustomerQuery], tiny_shop: TinyShop
) -> None:
    by_group = {"new": DECAYED, "thin": "popularity", "rich": RETRIEVER}
    shop = replace(artifact, settings=replace(artifact.settings, recommender_by_group=by_group))
    assert shop.rankers is not None
    purchases = pl.concat(purchase_shards(tiny_shop.data))
    known = purchases.filter(pl.col("occurred_at") < EARLY).group_by("customer_id")
    num_orders = dict(known.agg(pl.col("order_id").n_unique()).iter_rows())
    queries = [query for query in queries if query.customer_id in num_orders]
    answers = recommend(
        shop, [replace(query, as_of=EARLY) for query in queries], RecommendOptions()
    )
    groups = {answer["customer_id"]: answer["group"] for answer in answers}
    assert set(groups.values()) == set(by_group)
    for answer in answers[::4]:
        name = str(answer["customer_id"])
        assert answer["group"] == customer_group(num_orders[name])
        assert answer["model"] == by_group[answer["group"]]
        judged = rank_items(
            answer["model"],
            shop.rankers,
            purchases,
            pl.Series("customer_id", [name]),
            cutoff=EARLY,
            k=10,
            exclude_seen=False,
        )
        assert items_in(answer) == judged["item_id"].to_list()
        scores = [row["score"] for row in answer["recommendations"]]
        assert scores == pytest.approx(judged["score"].to_list(), rel=1e-12)


def test_newcomers_get_what_their_segment_buys_where_it_is_known(artifact: Artifact) -> None:
    assert artifact.rankers is not None and artifact.retriever is not None
    items = artifact.retriever.item_ids
    bought = sparse.lil_array((2, len(items)))
    bought[0, items.to_list().index("i7")] = 1e6
    bought[1, items.to_list().index("i9")] = 1e6
    counts = SegmentCounts(bought.tocsr(), 300.0)
    segments = Segments("town", ("Bonn", "True"), counts)
    code = AttributeCode(name="town", categories=("Bonn", "True"))
    shop = replace(
        artifact,
        rankers=replace(artifact.rankers, segments=segments),
        settings=replace(artifact.settings, attributes=(code,)),
    )
    towns: list[tuple[object, str]] = [("Bonn", "i7"), (True, "i9")]
    for town, first in towns:
        answer = asked(shop, replace(NOBODY, attributes={"town": town}))
        assert items_in(answer)[0] == first
        assert (answer["model"], answer["group"]) == (SEGMENT_POPULARITY, "new")
        reasons = [row["reason"] for row in answer["recommendations"]]
        assert (
            reasons
            == ["popular with customers of the same town"] + ["popular with other customers"] * 9
        )
    popular = artifact.retriever.popular["item_id"][:10].to_list()
    for attributes in ({}, {"town": "Rome"}, {"town": None}, {"age": 7}):
        answer = asked(shop, replace(NOBODY, attributes=attributes))
        assert (answer["model"], items_in(answer)) == ("popularity", popular)
    known = replace(buyer("i1", num_orders=2), attributes={"town": "Bonn"})
    together = recommend(
        shop, [known, replace(NOBODY, attributes={"town": "Bonn"}), NOBODY], RecommendOptions()
    )
    assert [answer["model"] for answer in together] == [
        artifact.settings.recommender,
        SEGMENT_POPULARITY,
        "popularity",
    ]
    assert items_in(together[0])[0] == "i1" and items_in(together[1])[0] == "i7"
