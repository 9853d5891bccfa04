"""What task next_item learns from: neither test nor validation, and clear words where there is too little."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.features.baskets import next_orders
from tests.builders import TinyShop
from tests.training.tasks.next_item.shops import ingest_lines, recipe, rounds
from training.evaluate.recommend.tasks import next_basket_task
from training.prepare.dataset import read_dataset
from training.tasks.next_item.rows import NextItemRows, read_next_item_rows
from training.tasks.recipes.union import parse_recipe
from training.tasks.rows import num_training_rows, num_validation_rows


def learned_items(rows: NextItemRows) -> dict[str, list[str]]:
    """By customer the items that a window of training holds."""
    known = rows.known
    found = {}
    for start, end in zip(rows.training.start, rows.training.end, strict=True):
        customer = known.customer_ids[int(np.searchsorted(known.starts, start, side="right")) - 1]
        found[customer] = (
            rows.vocabulary.table["item_id"].gather(known.item[start:end] - 1).to_list()
        )
    return found


def test_leave_one_out_learns_without_the_last_two_and_validates_on_the_last_but_one(
    tmp_path: Path,
) -> None:
    few = pl.DataFrame(
        [
            *(("two", day, f"i0{day}") for day in range(2)),
            ("one", 0, "i02"),
            *(("three", day, f"i0{day}") for day in range(3)),
        ],
        schema=["customer", "day", "item"],
        orient="row",
    )
    folders = ingest_lines(pl.concat([rounds(3), few]), tmp_path)
    rows = read_next_item_rows(recipe(folders, tmp_path / "run"))
    assert learned_items(rows) == {
        "c00": [f"i{n:02}" for n in range(1, 6)],
        "c01": [f"i{n:02}" for n in range(6, 11)],
        "c02": ["i11", "i00", "i01", "i02", "i03"],
    }
    assert rows.num_next.tolist() == [4, 4, 4]
    wanted = [int(rows.known.item[end]) for end in rows.validation.end]
    names = rows.vocabulary.table["item_id"].gather(np.array(wanted) - 1).to_list()
    assert sorted(names) == ["i01", "i04", "i06", "i11"]  # of three, c02, c00 and c01
    assert (rows.until - rows.validation.end).tolist() == [1, 1, 1, 1]


def test_with_learn_validation_only_the_last_line_is_left_out(tmp_path: Path) -> None:
    folders = ingest_lines(rounds(2), tmp_path)
    changed = recipe(folders, tmp_path / "run", learn_validation=True, export="last")
    learned = learned_items(read_next_item_rows(changed))
    assert learned["c00"] == [f"i{n:02}" for n in range(2, 7)]


def test_time_split_learns_before_the_selection_cutoff_and_validates_on_the_next_basket(
    tiny_shop: TinyShop, tmp_path: Path
) -> None:
    config = recipe((tiny_shop.data, tiny_shop.examples), tmp_path)
    rows = read_next_item_rows(config)
    dataset = read_dataset(tiny_shop.examples)
    cutoff = datetime.combine(dataset.selection.cutoff, datetime.min.time(), UTC)
    test = datetime.combine(dataset.test_cutoff, datetime.min.time(), UTC)
    last = rows.known.at[rows.training.end - 1].max()
    assert last < cutoff.timestamp() * 1e6 < rows.known.at.max() < test.timestamp() * 1e6
    expected = next_basket_task(tiny_shop.data, cutoff, until=test).baskets
    found = {}
    for first, end, until in zip(rows.first, rows.validation.end, rows.until, strict=True):
        customer = rows.known.customer_ids[int(np.searchsorted(rows.known.starts, first))]
        items = rows.known.item[end:until] - 1
        found[customer] = set(rows.vocabulary.table["item_id"].gather(items).to_list())
    assert found == {customer: basket.truth for customer, basket in expected.items()}
    assert (num_training_rows(config), num_validation_rows(config)) == (
        len(rows.num_next),
        len(found),
    )


def test_what_is_wanted_is_counted_as_it_is_found(tiny_shop: TinyShop, tmp_path: Path) -> None:
    rows = read_next_item_rows(recipe((tiny_shop.data, tiny_shop.examples), tmp_path))
    one_by_one = [
        len(next_orders(rows.known, rows.training.take(np.array([row]))).item)
        for row in range(len(rows.num_next))
    ]
    assert rows.num_next.tolist() == one_by_one and min(one_by_one) > 0


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([("a", 0, "i"), ("a", 1, "i"), ("a", 2, "i"), ("a", 3, "i")], "but that of .* has 1"),
        ([("a", 0, "i"), ("a", 1, "j"), ("b", 0, "i")], "nobody bought twice before"),
    ],
)
def test_too_little_is_refused_in_words(
    lines: list[tuple[str, int, str]], message: str, tmp_path: Path
) -> None:
    frame = pl.DataFrame(lines, schema=["customer", "day", "item"], orient="row")
    with pytest.raises(ValueError, match=message):
        read_next_item_rows(recipe(ingest_lines(frame, tmp_path), tmp_path / "run"))


def test_a_catalogue_without_items_is_refused(tmp_path: Path) -> None:
    folders = ingest_lines(rounds(2), tmp_path)
    path = folders[0] / "items.parquet"
    pl.read_parquet(path).clear().write_parquet(path)
    with pytest.raises(ValueError, match="ranks the items of a catalogue, but that of .* has 0"):
        read_next_item_rows(recipe(folders, tmp_path / "run"))


def test_a_history_of_50_000_purchases_is_read_from_its_new_end(tmp_path: Path) -> None:
    long = pl.DataFrame({"day": np.arange(50_000)}).select(
        customer=pl.lit("long"), day=pl.col("day"), item=pl.format("i{}", pl.col("day") % 7)
    )
    rows = read_next_item_rows(recipe(ingest_lines(long, tmp_path), tmp_path / "run"))
    assert rows.training.lengths.tolist() == [5]
    assert rows.training.end.tolist() == [49_998]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder": "text"}, "encoder must be sequence, not text"),
        ({"learn_validation": True}, "it needs export last and no patience"),
        ({"start_from": "m"}, "task next_item does not use start_from"),
    ],
)
def test_recipes_that_do_not_fit_are_refused(changes: dict[str, object], message: str) -> None:
    tree = {"task": "next_item", "encoder": "sequence", "data": "d", "examples": "e", "output": "o"}
    with pytest.raises(ValueError, match=message):
        parse_recipe(tree | changes)
