"""The stack of rankers: it learns what was bought, its files say the same, rows stand alone."""

from pathlib import Path

import numpy as np
import pytest

from lifecycle.recommend.histories import Histories, order_counts
from lifecycle.recommend.neighbours import nearest_neighbours
from lifecycle.recommend.scorers.grids import KINDS
from lifecycle.recommend.scorers.ranker import Past, keep_best
from lifecycle.recommend.stack.rank_stack import (
    MEMBERS,
    RankStack,
    learn,
    lesson,
    load_rank_stack,
    save_rank_stack,
)
from tests.lifecycle.recommend.builders import histories_of, random_customers, unpriced_facts

CUSTOMERS = random_customers(4, num_customers=120)
# Everybody buys next what they bought least recently, which no member would say.
TRUTH = [[orders[0][1]] if orders else [] for orders in CUSTOMERS]


def histories(customers: list[int]) -> Histories:
    return histories_of([CUSTOMERS[place] for place in customers], 20)


@pytest.fixture(scope="module")
def stack() -> RankStack:
    everybody = histories(list(range(120)))
    baskets = (order_counts(everybody) > 0).astype(float)
    past = Past(everybody, nearest_neighbours(baskets, 5))
    members = {name: KINDS[name].fit(past, **KINDS[name].settings[0]) for name in MEMBERS}
    items = unpriced_facts(everybody)
    truth = histories_of([[(1.0, items) for items in bought] for bought in TRUTH], 20)
    taught = lesson(everybody, members, items, order_counts(truth))
    return RankStack(learn([taught], MEMBERS, seed=0), members, items)


def test_trees_learn_what_members_do_not_say(stack: RankStack) -> None:
    found = stack.scores(histories(list(range(119))))
    first = keep_best(found, 1).indices
    hits = np.mean([item in bought[0] for item, bought in zip(first, TRUTH[:119], strict=True)])
    alone = keep_best(stack.members["repurchase"].scores(histories(list(range(119)))), 1).indices
    before = np.mean([item in bought[0] for item, bought in zip(alone, TRUTH[:119], strict=True)])
    assert hits > before + 0.2


def test_files_say_the_same_and_rows_stand_alone(stack: RankStack, tmp_path: Path) -> None:
    save_rank_stack(tmp_path, stack)
    again = load_rank_stack(tmp_path)
    some = [3, 119, 7]
    expected = stack.scores(histories(some)).toarray()
    assert (expected >= 0).all() and expected[0].any() and not expected[1].any()
    np.testing.assert_array_equal(again.scores(histories(some)).toarray(), expected)
    alone = [again.scores(histories([one])).toarray()[0] for one in some]
    np.testing.assert_array_equal(np.stack(alone), expected)
