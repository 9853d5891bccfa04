"""Items like one item: what the same customers bought first, then its category, then all."""

from dataclasses import replace

import pytest
from scipy import sparse

from serving.api.responses import SimilarResponse
from serving.predict.predictor import Predictor
from serving.predict.problems import InvalidRequest
from serving.predict.queries import RecommendOptions
from serving.predict.similar import POPULAR, SAME_CATEGORY, TOGETHER, similar_items


def test_items_bought_by_the_same_customers_come_first(predictor: Predictor) -> None:
    retriever = predictor.artifact.retriever
    assert retriever is not None
    places = {item: place for place, item in enumerate(retriever.item_ids)}
    every = RecommendOptions(k=len(places))
    answer = predictor.similar("i5", every)
    assert answer is not None
    SimilarResponse.model_validate(answer)
    rows = answer["similar"]
    items = [row["item_id"] for row in rows]
    assert sorted([*items, "i5"]) == sorted(places)
    alike = retriever.similarity[[places["i5"]]].toarray()[0]
    assert [row["score"] for row in rows] == [alike[places[item]] for item in items]
    category = dict(predictor.artifact.items.select("item_id", "category").iter_rows())
    for row in rows:
        is_alike = category[row["item_id"]] == category["i5"]
        told = TOGETHER if row["score"] > 0 else SAME_CATEGORY if is_alike else POPULAR
        assert row["reason"] == told
    order = [TOGETHER, SAME_CATEGORY, POPULAR]
    stages = [order.index(row["reason"]) for row in rows]
    assert stages == sorted(stages)


def test_options_hold_and_nobody_knows_some_items(predictor: Predictor) -> None:
    options = RecommendOptions(k=3, exclude=("i1",), candidates=("i1", "i2", "i5"))
    answer = predictor.similar("i5", options)
    assert answer is not None
    assert [row["item_id"] for row in answer["similar"]] == ["i2"]
    assert predictor.similar("nobody", RecommendOptions()) is None
    with pytest.raises(InvalidRequest) as caught:
        predictor.similar("i5", RecommendOptions(exclude=("nobody",)))
    assert caught.value.problems[0].field == "exclude.0"


def test_item_that_nobody_bought_with_others_has_its_category_and_then_what_sells(
    predictor: Predictor,
) -> None:
    artifact = predictor.artifact
    assert artifact.retriever is not None and artifact.rankers is not None
    none = sparse.csr_array(artifact.retriever.similarity.shape)
    retriever = replace(artifact.retriever, similarity=none)
    alone = replace(artifact, rankers=replace(artifact.rankers, retriever=retriever))
    category = dict(artifact.items.select("item_id", "category").iter_rows())
    popular = [item for item in artifact.retriever.popular["item_id"] if item != "i5"]
    own = [item for item in popular if category[item] == category["i5"]]
    others = [item for item in popular if category[item] != category["i5"]]
    answer = similar_items(alone, "i5", RecommendOptions(k=100))
    assert answer is not None and own and others
    rows = answer["similar"]
    assert [row["item_id"] for row in rows] == [*own, *others]
    reasons = [row["reason"] for row in rows]
    assert reasons == [SAME_CATEGORY] * len(own) + [POPULAR] * len(others)
