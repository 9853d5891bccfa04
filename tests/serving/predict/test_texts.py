"""Items by their texts: in any script, without titles, renamed, or new to the catalogue."""

from dataclasses import replace
from unicodedata import normalize

import polars as pl
import pytest
from scipy import sparse

from lifecycle.artifact.contents import Artifact
from serving.predict.problems import InvalidRequest
from tests.serving.predict.builders import NOBODY, RANKERS, asked, buyer, items_in, served_by


def test_ids_decide_and_titles_are_those_of_the_catalogue(artifact: Artifact) -> None:
    renamed = artifact.items.with_columns(
        title=pl.when(pl.col("item_id").is_in(["i1", "i2"]))
        .then(pl.lit("the same"))
        .otherwise("title")
    )
    query = buyer("i1", num_orders=3)
    before = asked(artifact, query, candidates=("i1", "i2"))
    after = asked(replace(artifact, items=renamed), query, candidates=("i1", "i2"))
    assert items_in(before) == items_in(after) == ["i1", "i2"]
    told = [(row["title"], row["reason"]) for row in after["recommendations"]]
    assert told == [
        ("the same", "bought in 3 orders before"),
        ("the same", "popular with other customers"),
    ]


def test_texts_in_any_script_are_found_whatever_keyboard_they_came_from(
    artifact: Artifact,
) -> None:
    titles = {
        "i1": "Зелёный чай",
        "i2": "抹茶ラテ",
        "i3": "شاي أخضر",
        "i4": "Thé à la menthe",
        "i5": "ＧＲＥＥＮ ＴＥＡ",
    }
    items = artifact.items.with_columns(
        title=pl.col("item_id").replace_strict(titles, default=None, return_dtype=pl.String)
    )
    shop = replace(artifact, items=items)
    queries = {
        "ЧАЙ": ["i1"],
        normalize("NFD", "зелёный"): ["i1"],
        "抹茶": ["i2"],
        "أخضر شاي": ["i3"],
        "thé menthe": ["i4"],
        normalize("NFD", "THÉ À"): ["i4"],
        "green tea": ["i5"],
        "グリーン": [],
    }
    for query, expected in queries.items():
        assert items_in(asked(shop, NOBODY, query=query, k=100)) == expected
    (row,) = asked(shop, NOBODY, query="ラテ")["recommendations"]
    assert row["title"] == "抹茶ラテ"


def test_without_titles_categories_stand_for_them_and_without_both_a_query_is_refused(
    artifact: Artifact,
) -> None:
    untitled = artifact.items.with_columns(title=pl.lit(None, pl.String))
    answer = asked(replace(artifact, items=untitled), NOBODY, query="TEA", k=100)
    of_tea = untitled.filter(pl.col("category") == "tea")["item_id"]
    assert set(items_in(answer)) == set(of_tea)
    assert {row["title"] for row in answer["recommendations"]} == {"tea"}
    nameless = replace(artifact, items=untitled.with_columns(category=pl.lit(None, pl.String)))
    (row,) = asked(nameless, buyer("i7"), k=1)["recommendations"]
    assert row["title"] == "untitled item"
    for options in ({"query": "tea"}, {"category": "tea"}):
        with pytest.raises(InvalidRequest) as error:
            asked(nameless, NOBODY, **options)
        assert [problem.field for problem in error.value.problems] == list(options)


def test_an_item_that_nobody_has_bought_is_found_by_its_title_or_category(
    artifact: Artifact,
) -> None:
    assert artifact.retriever is not None and artifact.rankers is not None
    popular = artifact.retriever.popular.filter(pl.col("item_id") != "i8")
    new = pl.DataFrame({"item_id": ["i8"], "score": [0.0]})
    retriever = replace(
        artifact.retriever,
        popular=pl.concat([popular, new]),
        similarity=sparse.csr_array(artifact.retriever.similarity.shape),
    )
    texts = {"title": "Oat drink", "category": "barista"}
    items = artifact.items.with_columns(
        pl.when(pl.col("item_id") == "i8").then(pl.lit(text)).otherwise(name).alias(name)
        for name, text in texts.items()
    )
    shop = replace(artifact, items=items, rankers=replace(artifact.rankers, retriever=retriever))
    for name in RANKERS:
        for query in (buyer("i1", "i2"), NOBODY):
            for words in ("oat", "DRINK oat", "Barista", "barista drink"):
                assert items_in(asked(served_by(shop, name), query, query=words)) == ["i8"]
