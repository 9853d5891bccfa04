"""What rankers are asked: baskets by hand, and the next item of a leave-one-out split through the whole arena."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from lifecycle.names import ROUTER
from tests.builders import TinyShop, item_lines
from tests.training.tasks.next_item.shops import ingest_lines
from training.evaluate.inputs import read_inputs
from training.evaluate.job import evaluate
from training.evaluate.recipe import EvaluateConfig
from training.evaluate.recommend.tasks import (
    EARLIER_DAYS,
    NEXT_ITEM,
    Basket,
    earlier_tasks,
    final_task,
    newcomer_baskets,
    next_basket_task,
    next_baskets,
    next_item_task,
    purchase_shards,
    selection_task,
)
from training.prepare.job import prepare
from training.prepare.recipe import PrepareConfig

CUTOFF = datetime(2024, 6, 1, tzinfo=UTC)
MODELS = ("popularity", "personal_frequency", "repurchase", "retriever")


def test_next_basket_is_the_first_order_at_or_after_the_cutoff() -> None:
    shard = item_lines(
        CUTOFF,
        ("a", -9, "o1", "tea"),
        ("a", -3, "o2", "tea"),
        ("a", -3, "o2", "soap"),
        ("a", 0, "o3", "bread"),
        ("a", 0, "o3", "tea"),
        ("a", 0.1, "o3", "bread"),
        ("a", 5, "o4", "soap"),
        ("new", 1, "o5", "tea"),
        ("gone", -1, "o6", "tea"),
    )
    assert next_baskets([shard], CUTOFF) == {"a": Basket({"bread", "tea"}, {"tea", "soap"}, 2)}


def test_without_order_ids_a_basket_is_a_day() -> None:
    shard = item_lines(
        CUTOFF,
        ("a", -1, None, "tea"),
        ("a", 2.2, None, "soap"),
        ("a", 2.9, None, "tea"),
        ("a", 3, None, "x"),
    )
    assert next_baskets([shard], CUTOFF)["a"].truth == {"soap", "tea"}


def test_baskets_of_a_window_end_with_it() -> None:
    shard = item_lines(
        CUTOFF,
        ("a", -1, "o1", "tea"),
        ("a", 7, "o2", "soap"),
        ("b", -1, "o3", "tea"),
        ("b", 6.9, "o4", "x"),
    )
    assert set(next_baskets([shard], CUTOFF, until=CUTOFF + timedelta(days=7))) == {"b"}


def test_newcomers_are_those_whose_first_order_lies_in_the_window() -> None:
    shard = item_lines(
        CUTOFF,
        ("known", -1, "o1", "tea"),
        ("known", 1, "o2", "tea"),
        ("new", 1, "o3", "tea"),
        ("new", 1, "o3", "soap"),
        ("new", 2, "o4", "bread"),
        ("later", 7, "o5", "tea"),
    )
    found = newcomer_baskets([shard], CUTOFF, until=CUTOFF + timedelta(days=7))
    assert found == {"new": Basket({"tea", "soap"}, set(), 0)}


def test_what_is_held_out_is_unknown_in_earlier_tasks_too_of_who_bought_twice(
    tmp_path: Path,
) -> None:
    lines = [("twice", 0, "tea"), ("twice", 1, "secret")]
    lines += [("often", day, f"x{day}") for day in range(4)]
    shop = pl.DataFrame(lines, schema=["customer", "day", "item"], orient="row")
    data, examples = ingest_lines(shop, tmp_path)
    final = next_item_task(data, examples / "test.parquet")
    assert final.baskets["twice"] == Basket({"secret"}, {"tea"}, 1)
    selection = next_item_task(data, examples / "test.parquet", back=1)
    assert selection.baskets == {"often": Basket({"x2"}, {"x0", "x1"}, 2)}
    (earlier,) = earlier_tasks(selection)
    assert earlier.baskets == {"often": Basket({"x1"}, {"x0"}, 1)}
    for task, known in (
        (final, {"tea", "x0", "x1", "x2"}),
        (selection, {"x0", "x1"}),
        (earlier, {"x0"}),
    ):
        assert set(pl.concat(task.shards())["item_id"]) == known


def test_where_everybody_bought_twice_nobody_is_asked_before_the_test(tmp_path: Path) -> None:
    lines = [(name, day, f"x{day}") for name in ("a", "b") for day in range(2)]
    shop = pl.DataFrame(lines, schema=["customer", "day", "item"], orient="row")
    data, examples = ingest_lines(shop, tmp_path)
    selection = next_item_task(data, examples / "test.parquet", back=1)
    assert selection.baskets == {}
    assert pl.concat(selection.shards()).is_empty()


@pytest.fixture(scope="module")
def leave_one_out(tiny_shop: TinyShop, tmp_path_factory: pytest.TempPathFactory) -> EvaluateConfig:
    """The recipe of the arena on each customer's last purchase."""
    folder = tmp_path_factory.mktemp("loo")
    prepare(PrepareConfig(data=tiny_shop.data, split="leave_one_out", output=folder / "examples"))
    places = {"data": tiny_shop.data, "examples": folder / "examples", "output": folder / "arena"}
    return EvaluateConfig.model_validate(places | {"models": MODELS})


def test_next_item_is_the_last_purchase_and_nothing_from_it_on_is_known(
    leave_one_out: EvaluateConfig,
) -> None:
    inputs = read_inputs(leave_one_out)
    everything = pl.concat(purchase_shards(leave_one_out.data))
    for task, back in ((final_task(inputs), 1), (selection_task(inputs), 2)):
        known = pl.concat(task.shards())
        assert (known["occurred_at"] < task.cutoff).all()
        for customer in sorted(task.baskets)[::60]:
            items = everything.filter(pl.col("customer_id") == customer)["item_id"].to_list()
            before = known.filter(pl.col("customer_id") == customer)["item_id"].to_list()
            assert before == items[:-back]
            assert task.baskets[customer].truth == {items[-back]}
            assert task.baskets[customer].bought_before == set(before)


def test_arena_judges_recommenders_on_the_next_item_and_writes_no_artifact(
    leave_one_out: EvaluateConfig,
) -> None:
    evaluate(leave_one_out)
    metrics = json.loads((leave_one_out.output / "metrics.json").read_text())
    rankings = pl.read_parquet(leave_one_out.output / "rankings.parquet")
    num_customers = pl.read_parquet(leave_one_out.examples / "test.parquet").height
    assert (
        metrics["champion"] is None
        and metrics["models"] == {}
        and metrics["num_customers"] == num_customers
    )
    groups = metrics["recommendation"][NEXT_ITEM]
    assert set(groups["all"]) == {*MODELS, ROUTER}
    assert groups["all"]["popularity"]["num_customers"] == num_customers
    assert metrics["recommender"]["model"] in groups["all"]
    assert rankings["task"].unique().to_list() == [NEXT_ITEM]
    assert rankings.group_by("customer_id", "model").len()["len"].unique().to_list() == [20]
    truth = dict(
        pl.read_parquet(leave_one_out.examples / "test.parquet")
        .select("customer_id", "item_id")
        .iter_rows()
    )
    first_ten = rankings.filter((pl.col("model") == "popularity") & (pl.col("rank") <= 10))
    hits = sum(
        truth[customer] == item
        for customer, item in first_ten.select("customer_id", "item_id").iter_rows()
    )
    assert groups["all"]["popularity"]["hr@10"] == pytest.approx(hits / num_customers)
    assert pl.read_parquet(leave_one_out.output / "predictions.parquet").is_empty()
    assert "next item" in (leave_one_out.output / "report.html").read_text()
    assert not (leave_one_out.output / "artifact").exists()


def test_members_that_predict_values_are_refused(
    leave_one_out: EvaluateConfig, tmp_path: Path
) -> None:
    recipe = leave_one_out.model_copy(update={"members": {"text_llama": tmp_path}})
    with pytest.raises(
        ValueError, match="members predict values, but examples .* have split 'leave_one_out'"
    ):
        evaluate(recipe)


def test_first_purchase_has_no_history_to_ask_from(leave_one_out: EvaluateConfig) -> None:
    positions = pl.read_parquet(leave_one_out.examples / "test.parquet")["position"]
    task = next_item_task(leave_one_out.data, leave_one_out.examples / "test.parquet")
    assert positions.min() >= 1  # type: ignore[operator]
    assert all(basket.bought_before for basket in task.baskets.values())


def test_earlier_tasks_ask_about_what_came_before_the_cutoff(tiny_shop: TinyShop) -> None:
    cutoff = datetime(2024, 10, 30, tzinfo=UTC)
    tasks = earlier_tasks(next_basket_task(tiny_shop.data, cutoff))
    assert len({task.cutoff for task in tasks}) == len(tasks) > 1
    everything = pl.concat(purchase_shards(tiny_shop.data))
    past = everything.filter(pl.col("occurred_at") < cutoff)
    for task in tasks:
        assert task.cutoff < cutoff and task.baskets
        until = task.cutoff + timedelta(days=EARLIER_DAYS)
        assert until <= cutoff
        assert task.baskets == next_baskets([past], task.cutoff, until=until)


def test_earlier_items_are_the_ones_before(leave_one_out: EvaluateConfig) -> None:
    task = selection_task(read_inputs(leave_one_out))
    (earlier,) = earlier_tasks(task)
    everything = pl.concat(purchase_shards(leave_one_out.data))
    assert 0 < len(earlier.baskets) <= len(task.baskets)
    for customer in sorted(earlier.baskets)[::60]:
        items = everything.filter(pl.col("customer_id") == customer)["item_id"].to_list()
        assert earlier.baskets[customer].truth == {items[-3]}
