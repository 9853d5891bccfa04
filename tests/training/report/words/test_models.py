"""Every model has words, and lists of them read as people write them."""

from lifecycle.names import MEMBERS, RANKERS, RERANKER, ROUTER, SEGMENT_POPULARITY, VALUE_MODELS
from training.report.words.models import MODELS, listed, model_words


def test_every_model_has_words() -> None:
    assert {*VALUE_MODELS, *MEMBERS, *RANKERS, RERANKER, ROUTER, SEGMENT_POPULARITY} <= set(MODELS)
    assert model_words("bgnbd_gg") == "BG/NBD"
    assert model_words("popularity@sample") == "popularity, on the sample"


def test_lists_end_with_and() -> None:
    assert [listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])] == [
        "a",
        "a and b",
        "a, b and c",
    ]
