"""Who answers whom."""

from lifecycle.names import SEGMENT_POPULARITY
from lifecycle.recommend.router import Router


def test_a_group_has_its_own_ranker_or_that_of_everybody() -> None:
    router = Router("repurchase", {"thin": "retriever", "new": "popularity"})
    served = [router.ranker_of(orders) for orders in (1, 2, 4, 5, 500)]
    assert served == ["popularity", "retriever", "retriever", "repurchase", "repurchase"]
    assert router.names == ("repurchase", "retriever", "popularity")


def test_of_newcomers_nobody_knows_more_than_what_is_popular() -> None:
    router = Router("repurchase", {"new": "retriever"})
    assert router.ranker_of(0) == "popularity"
    assert router.ranker_of(0, knows_segment=True) == SEGMENT_POPULARITY
    assert router.ranker_of(1, knows_segment=True) == "retriever"
