"""What LLaMA is to read, by a second route; a weight of 0 leaves the ranker's order, and LLaMA unread."""

import polars as pl
import pytest

from lifecycle.recommend.prompts import shopping_prompt
from lifecycle.recommend.rankers import Rankers
from lifecycle.recommend.retrieval import fit_retriever
from tests.builders import TinyShop
from training.evaluate.inputs import Inputs, read_inputs
from training.evaluate.recipe import EvaluateConfig
from training.evaluate.recommend.rankings import cheap_rankings
from training.evaluate.recommend.reranked import candidates_of, reranked
from training.evaluate.recommend.tasks import final_task, purchase_shards

NUM_CANDIDATES = 25


@pytest.fixture
def inputs(tiny_shop: TinyShop) -> Inputs:
    """The tiny shop before the arena."""
    folders = {"data": tiny_shop.data, "examples": tiny_shop.examples, "output": "unused"}
    changes = {"models": ("personal_frequency",), "num_candidates": NUM_CANDIDATES}
    return read_inputs(EvaluateConfig.model_validate(folders | changes))


def test_prompts_name_what_was_bought_before_the_cutoff_and_candidates_are_the_rankers(
    inputs: Inputs,
) -> None:
    task = final_task(inputs)
    rankers = Rankers(fit_retriever(task.shards(), inputs.items["item_id"], cutoff=task.cutoff))
    customers = sorted(task.baskets)[:40]
    found = candidates_of(inputs, rankers, "personal_frequency", task, customers)
    titles = dict(inputs.items.select("item_id", "title").iter_rows())
    past = pl.concat(purchase_shards(inputs.config.data)).filter(
        pl.col("occurred_at") < task.cutoff
    )
    bought = past.sort("occurred_at", maintain_order=True).group_by("customer_id").agg("item_id")
    expected = {
        name: shopping_prompt([titles[item] for item in items], max_titles=8)
        for name, items in bought.iter_rows()
    }
    assert dict(found.prompts.iter_rows()) == {name: expected[name] for name in customers}
    sizes = found.items.group_by("customer_id").len()
    assert sizes["len"].unique().to_list() == [NUM_CANDIDATES]
    assert found.items["text"].to_list() == [titles[item] for item in found.items["item_id"]]

    unread = reranked(inputs, rankers, "personal_frequency", task, customers, 0.0)
    alone = cheap_rankings(inputs, rankers, task)["personal_frequency"]
    alone = alone.filter(pl.col("customer_id").is_in(customers)).sort("customer_id", "rank")
    pair = ["customer_id", "rank", "item_id"]
    assert unread.select(pair).equals(alone.select(pair).cast({"rank": pl.Int64}))
