"""What is known of the items before a cutoff, against counts over all purchases."""

from datetime import UTC, datetime

import polars as pl

from lifecycle.events.shards import read_items
from tests.builders import TinyShop
from training.evaluate.recommend.measures.catalogue import read_catalogue
from training.evaluate.recommend.tasks import RankingTask, purchase_shards

CUTOFF = datetime(2024, 7, 1, tzinfo=UTC)


def test_buyers_are_counted_once_and_before_the_cutoff(tiny_shop: TinyShop) -> None:
    items = read_items(tiny_shop.data)
    task = RankingTask("next_basket", tiny_shop.data, CUTOFF, {})
    found = read_catalogue(task, items)
    past = pl.concat(purchase_shards(tiny_shop.data)).filter(pl.col("occurred_at") < CUTOFF)
    buyers = dict(past.group_by("item_id").agg(pl.col("customer_id").n_unique()).iter_rows())
    assert found.num_customers == past["customer_id"].n_unique() > 100
    assert found.num_buyers.tolist() == [buyers.get(item, 0) for item in found.item_ids]
    assert found.num_buyers.max() > 3 and found.buyer_share.min() > 0
    assert found.item_ids.to_list() == sorted(items["item_id"]) == list(found.numbers)


def test_categories_are_numbers_and_minus_one_where_unknown(tiny_shop: TinyShop) -> None:
    task = RankingTask("next_basket", tiny_shop.data, CUTOFF, {})
    schema = {"item_id": pl.String, "category": pl.String}
    rows = [("b", "tea"), ("a", "rye"), ("c", None), ("d", "tea")]
    items = pl.DataFrame(rows, schema=schema, orient="row")
    category = read_catalogue(task, items).category
    assert category is not None and category.tolist() == [0, 1, -1, 1]
    unknown = items.with_columns(category=pl.lit(None, pl.String))
    assert read_catalogue(task, unknown).category is None
