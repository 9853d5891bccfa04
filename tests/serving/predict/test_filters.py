"""Filters of the catalogue, and options that it cannot serve."""

from dataclasses import replace

import polars as pl
import pytest

from serving.predict.filters import allowed_items
from serving.predict.predictor import Predictor
from serving.predict.problems import InvalidRequest
from serving.predict.queries import CustomerQuery, RecommendOptions
from serving.predict.recommendations import recommend
from tests.serving.builders import items_of


def test_filters_hold_and_all_allowed_items_can_be_had(
    predictor: Predictor, queries: list[CustomerQuery]
) -> None:
    items, query = predictor.artifact.items, queries[0]
    tea = set(items.filter(pl.col("category") == "tea")["item_id"])
    assert set(items_of(predictor, query, k=100, category="TEA")) == tea
    assert set(items_of(predictor, query, k=100, query="no. 3 bread")) <= set(
        items.filter(pl.col("category") == "bread")["item_id"]
    )
    cheap = items.filter(pl.col("price").is_between(5, 9))["item_id"]
    assert set(items_of(predictor, query, k=100, min_price=5.0, max_price=9.0)) == set(cheap)
    assert set(items_of(predictor, query, candidates=("i3", "i7"))) == {"i3", "i7"}
    assert items_of(predictor, query, candidates=("i3", "i7"), exclude=("i3",)) == ["i7"]
    assert items_of(predictor, query, min_price=1e9) == []
    assert len(items_of(predictor, query, k=100)) == items.height


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"candidates": ("i1", "nope")}, "candidates.1"),
        ({"exclude": ("nope",)}, "exclude.0"),
        ({"in_stock": True}, "in_stock"),
        ({"objective": "margin"}, "objective"),
    ],
)
def test_options_that_cannot_be_served_name_their_field(
    predictor: Predictor, options: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidRequest) as error:
        predictor.recommend([], RecommendOptions(**options))
    assert [problem.field for problem in error.value.problems] == [field]


def test_margins_that_are_no_numbers_are_refused(
    predictor: Predictor, queries: list[CustomerQuery]
) -> None:
    items = predictor.artifact.items.with_columns(margin=pl.lit("0,35"))
    with pytest.raises(ValueError, match="^objective: column margin .* no numbers"):
        recommend(
            replace(predictor.artifact, items=items),
            queries[:1],
            RecommendOptions(objective="margin"),
        )


def test_stock_and_margin_columns_are_used(
    predictor: Predictor, queries: list[CustomerQuery]
) -> None:
    items = predictor.artifact.items.with_columns(
        in_stock=pl.int_range(pl.len()) % 2 == 0,
        margin=pl.when(pl.col("item_id") == "i9").then(1e6),
    )
    artifact = replace(predictor.artifact, items=items)
    allowed = allowed_items(items, RecommendOptions(in_stock=True))
    assert allowed is not None and allowed.height == items.height // 2
    (answer,) = recommend(artifact, queries[:1], RecommendOptions(objective="margin", k=3))
    rows = answer["recommendations"]
    assert rows[0]["item_id"] == "i9"
    assert [row["score"] for row in rows[1:]] == [0.0, 0.0]


def test_prices_that_nobody_gave_cannot_be_asked_for(
    predictor: Predictor, queries: list[CustomerQuery]
) -> None:
    items = predictor.artifact.items.with_columns(price=pl.lit(None, dtype=pl.Float64))
    for options in (RecommendOptions(min_price=0.0), RecommendOptions(max_price=9.0)):
        with pytest.raises(ValueError, match="^(min|max)_price: the item catalogue has no prices"):
            recommend(replace(predictor.artifact, items=items), queries[:1], options)
