"""The weight of LLaMA's score: on where it finds what is bought next, off where it is noise."""

import numpy as np
import polars as pl
import pytest

from training.evaluate.recommend.judging import TOP, gain_over
from training.evaluate.recommend.tasks import Basket
from training.evaluate.recommend.text_weight import Weighed, customer_groups, decided, weigh
from training.results.recommend import Reranking

NUM_CUSTOMERS, NUM_CANDIDATES = 60, 30


def candidates(knowledge: float) -> tuple[pl.DataFrame, dict[str, Basket]]:
    """Candidates in no telling order, and what each customer buys of them; texts know so much of that."""
    random = np.random.default_rng(0)
    customers = [f"c{number:02d}" for number in range(NUM_CUSTOMERS)]
    bought = random.integers(0, NUM_CANDIDATES, NUM_CUSTOMERS)
    places = np.tile(np.arange(NUM_CANDIDATES), NUM_CUSTOMERS)
    is_bought = places == np.repeat(bought, NUM_CANDIDATES)
    noise = random.normal(size=len(places))
    frame = pl.DataFrame(
        {
            "customer_id": np.repeat(customers, NUM_CANDIDATES),
            "rank": places + 1,
            "item_id": [f"i{place}" for place in places],
            "score": 1000.0 - places,
            "text_score": knowledge * is_bought + noise,
        }
    )
    return frame, {
        one: Basket({f"i{item}"}, set(), 1) for one, item in zip(customers, bought, strict=True)
    }


def decision(knowledge: float) -> tuple[Weighed, Reranking]:
    frame, baskets = candidates(knowledge)
    best = weigh(frame, baskets)
    assert best is not None
    alone = frame.filter(pl.col("rank") <= TOP).select("customer_id", "rank", "item_id", "score")
    gain = gain_over(best.ranking, alone, "als", baskets, num_resamples=200, seed=0)
    return best, decided("als", best, {"all": gain}, len(baskets))


def test_text_that_knows_what_is_bought_is_on_and_noise_is_off() -> None:
    best, chosen = decision(knowledge=4.0)
    assert chosen.weight == best.weight > 0 and "for 60 customers" in chosen.why
    assert max(chosen.ndcg_at_20.values()) == chosen.ndcg_at_20[f"{best.weight:.4g}"]
    assert chosen.before_test["all"].ndcg_at_20[1] > 0
    _, chosen = decision(knowledge=0.0)
    assert chosen.weight == 0.0 and chosen.before_test["all"].ndcg_at_20[1] <= 0
    assert set(chosen.ndcg_at_20) > {"0"}, "what was tried stands there"


def test_weight_of_0_is_the_ranker_alone() -> None:
    frame, baskets = candidates(knowledge=0.0)
    found = weigh(frame, baskets)
    assert found is not None
    places = [int(next(iter(basket.truth))[1:]) for basket in baskets.values()]
    gains = [1 / np.log2(place + 2) if place < TOP else 0.0 for place in places]
    assert found.ndcg["0"] == pytest.approx(np.mean(gains))


def test_equal_scores_leave_nothing_to_choose() -> None:
    frame, baskets = candidates(knowledge=0.0)
    assert weigh(frame.with_columns(text_score=1.0), baskets) is None


def test_groups_are_of_customers_and_of_what_they_bought() -> None:
    baskets = {
        "new": Basket({"common", "rare"}, set(), 1),
        "rich": Basket({"forgotten", "unseen"}, set(), 9),
    }
    groups = customer_groups(baskets, {"common": 10.0, "rare": 9.0, "forgotten": 0.0})
    truths = {
        group: {name: one.truth for name, one in found.items()} for group, found in groups.items()
    }
    assert truths == {
        "all": {"new": {"common", "rare"}, "rich": {"forgotten", "unseen"}},
        "new": {"new": {"common", "rare"}},
        "rich": {"rich": {"forgotten", "unseen"}},
        "rare_items": {"new": {"rare"}, "rich": {"forgotten"}},
        "unseen_items": {"rich": {"unseen"}},
    }
