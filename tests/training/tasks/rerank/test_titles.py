"""What task rerank learns from: the prompts of re-ranking by a second route, and nothing from after the cutoffs."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from lifecycle.events.shards import read_items, read_shard, shard_paths
from lifecycle.recommend.prompts import NEUTRAL_PROMPT, shopping_prompt
from tests.builders import TinyShop
from tests.training.tasks.next_item.shops import ingest_lines, rounds
from training.prepare.dataset import read_dataset
from training.tasks.recipes.rerank import RerankRecipe
from training.tasks.rerank.titles import NextTitle, read_next_titles
from training.tasks.rows import num_training_rows, num_validation_rows


def recipe(data: Path, examples: Path, **changes: object) -> RerankRecipe:
    fields = {"data": data, "examples": examples, "base_model": "none", "output": "none"}
    return RerankRecipe.model_validate(fields | changes)


def midnight(day: object) -> datetime:
    return datetime.fromisoformat(f"{day}T00:00:00").replace(tzinfo=UTC)


def test_each_order_is_asked_for_after_the_purchases_before_it(tiny_shop: TinyShop) -> None:
    dataset = read_dataset(tiny_shop.examples)
    start, end = midnight(dataset.selection.cutoff), midnight(dataset.test_cutoff)
    titles = dict(read_items(tiny_shop.data).select("item_id", "title").iter_rows())
    lines = pl.concat([read_shard(path) for path in shard_paths(tiny_shop.data)])
    bought = lines.filter((pl.col("kind") == "purchase") & (pl.col("occurred_at") < end))
    learned: list[tuple[str, set[str]]] = []
    validated: list[tuple[str, set[str]]] = []
    for _, mine in bought.sort("occurred_at", maintain_order=True).group_by("customer_id"):
        orders = list(mine.group_by("order_id", maintain_order=True))
        earlier: list[str] = []
        asked = []
        for _, order in orders:
            names = [titles[item] for item in order["item_id"].unique(maintain_order=True)]
            asked.append(
                (order["occurred_at"][0], shopping_prompt(earlier, max_titles=8), {*names})
            )
            earlier = (earlier + names)[-60:]
        before = [(prompt, truth) for at, prompt, truth in asked if at < start]
        after = [(prompt, truth) for at, prompt, truth in asked if at >= start]
        learned += before[-3:]
        validated += after[:1] if before else []
    config = recipe(tiny_shop.data, tiny_shop.examples, orders_per_customer=3)
    training, validation = read_next_titles(config)
    for found, expected in ((training, learned), (validation, validated)):
        assert len(found) == len(expected) > 100
        assert sorted(one.prompt for one in found) == sorted(prompt for prompt, _ in expected)
        possible: dict[str, set[str]] = {}
        for prompt, truth in expected:
            possible.setdefault(prompt, set()).update(truth)
        assert all(one.title in possible[one.prompt] for one in found)
    assert (num_training_rows(config), num_validation_rows(config)) == (
        len(training),
        len(validation),
    )


def test_what_comes_after_the_cutoffs_moves_nothing(tiny_shop: TinyShop, tmp_path: Path) -> None:
    dataset = read_dataset(tiny_shop.examples)
    training, validation = read_next_titles(recipe(tiny_shop.data, tiny_shop.examples))
    shutil.copytree(tiny_shop.data, tmp_path / "data")
    for path in shard_paths(tmp_path / "data"):
        known = pl.read_parquet(path)
        is_past = pl.col("occurred_at") < midnight(dataset.test_cutoff)
        known.filter(is_past).write_parquet(path)
    config = recipe(tmp_path / "data", tiny_shop.examples)
    assert read_next_titles(config) == (training, validation)


def test_of_many_examples_a_seeded_sample_is_learned(tiny_shop: TinyShop) -> None:
    config = recipe(tiny_shop.data, tiny_shop.examples, max_examples=40)
    everything, _ = read_next_titles(recipe(tiny_shop.data, tiny_shop.examples))
    found, _ = read_next_titles(config)
    assert len(found) == 40 and set(found) <= set(everything)
    assert read_next_titles(config)[0] == found


def test_leave_one_out_validates_on_the_last_line_but_one(tmp_path: Path) -> None:
    lines = rounds(2)
    names = lines.select("item").unique().with_columns(title="title of " + pl.col("item"))
    items = names.rename({"item": "item_id"}).with_columns(category=pl.lit("all"))
    data, examples = ingest_lines(lines, tmp_path, items)
    training, validation = read_next_titles(recipe(data, examples, orders_per_customer=99))
    assert len(training) == 2 * 6 and NextTitle(NEUTRAL_PROMPT, "title of i00") in training
    titles = [f"title of i{number:02}" for number in range(12)]
    expected = [
        NextTitle(shopping_prompt(titles[:6]), titles[6]),
        NextTitle(shopping_prompt(titles[5:11]), titles[11]),
    ]
    assert sorted(validation, key=lambda one: one.title) == sorted(
        expected, key=lambda one: one.title
    )


def test_without_titles_there_is_nothing_to_learn_from(tmp_path: Path) -> None:
    data, examples = ingest_lines(rounds(2), tmp_path)
    with pytest.raises(ValueError, match="task rerank has nothing to learn from"):
        read_next_titles(recipe(data, examples))
