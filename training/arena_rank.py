"""The recommendation arena: what each customer bought next, ranked by every model over the full catalogue."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl
import pyarrow as pa

from lifecycle.events import REVENUE_KINDS, order_key, read_shard, shard_paths
from lifecycle.metrics import ranking_metrics
from lifecycle.recommend.baselines import item_popularity, merge_popularity, personal_frequency, popularity
from lifecycle.recommend.groups import customer_group, split_truth
from lifecycle.recommend.prompts import item_text, shopping_prompt
from lifecycle.recommend.retrieval import Retriever, fit_retriever, propose
from training.inference import RerankActor, map_rows

logger = logging.getLogger(__name__)
TOP = 20
COLUMNS = ["customer_id", "occurred_at", "kind", "order_id", "item_id"]


@dataclass(frozen=True)
class Basket:
    """What one customer bought next, and what is known of them."""

    truth: set[str]
    bought_before: set[str]
    num_orders: int


def purchase_shards(data: Path) -> Iterable[pl.DataFrame]:
    """Purchases of items, shard by shard."""
    for path in shard_paths(data):
        yield read_shard(path, COLUMNS).filter(pl.col("kind").is_in(REVENUE_KINDS) & pl.col("item_id").is_not_null())


def next_baskets(shards: Iterable[pl.DataFrame], cutoff: datetime) -> dict[str, Basket]:
    """The first basket at or after the cutoff of every customer with an earlier purchase; truth = its items."""
    baskets: dict[str, Basket] = {}
    for purchases in shards:
        purchases = purchases.with_columns(order_key().alias("order"))
        after = purchases.filter(pl.col("occurred_at") >= cutoff).sort("customer_id", "occurred_at", "order")
        first = after.group_by("customer_id", maintain_order=True).agg(pl.col("order").first())
        truth = after.join(first, on=["customer_id", "order"]).group_by("customer_id").agg(pl.col("item_id").unique())
        before = purchases.filter(pl.col("occurred_at") < cutoff)
        known = before.group_by("customer_id").agg(
            pl.col("item_id").unique().alias("bought"), pl.col("order").n_unique().alias("orders")
        )
        for customer, items, bought, orders in truth.join(known, on="customer_id").iter_rows():
            baskets[customer] = Basket(set(items), set(bought), orders)
    return baskets


def cheap_rankings(
    data: Path, baskets: dict[str, Basket], cutoff: datetime, *, exclude_seen: bool
) -> dict[str, pl.DataFrame]:
    """popularity and personal_frequency for every customer with a basket."""
    popular = merge_popularity([item_popularity(shard, cutoff=cutoff) for shard in purchase_shards(data)])
    rankings: dict[str, list[pl.DataFrame]] = {"popularity": [], "personal_frequency": []}
    for shard in purchase_shards(data):
        customers = _customers_of(shard, baskets)
        for name, rank in (("popularity", popularity), ("personal_frequency", personal_frequency)):
            rankings[name].append(rank(shard, popular, customers, cutoff=cutoff, k=TOP, exclude_seen=exclude_seen))
    return {name: pl.concat(parts) for name, parts in rankings.items()}


def _customers_of(shard: pl.DataFrame, wanted: Iterable[str]) -> pl.Series:
    return shard["customer_id"].unique().sort().filter(shard["customer_id"].unique().sort().is_in(list(wanted)))


def fit_candidates(data: Path, items: pl.DataFrame, cutoff: datetime) -> Retriever:
    """The retriever over the full catalogue as it stood at the cutoff."""
    return fit_retriever(purchase_shards(data), items["item_id"], cutoff=cutoff)


def rerank_rankings(
    data: Path,
    items: pl.DataFrame,
    retriever: Retriever,
    customers: list[str],
    cutoff: datetime,
    *,
    base_model: str,
    attention: str,
    num_candidates: int,
    num_workers: int,
    exclude_seen: bool,
) -> dict[str, pl.DataFrame]:
    """`retriever` and `text_llama_rerank` for the given customers: the same candidates in two orders."""
    texts = dict(zip(items["item_id"], map(item_text, items["title"], items["category"]), strict=True))
    rows, proposals = [], []
    for shard in purchase_shards(data):
        chosen = _customers_of(shard, customers)
        if chosen.is_empty():
            continue
        mine = shard.filter(pl.col("customer_id").is_in(chosen.implode()) & (pl.col("occurred_at") < cutoff))
        proposed = propose(
            retriever, mine, chosen, cutoff=cutoff, num_candidates=num_candidates, exclude_seen=exclude_seen
        )
        proposals.append(proposed)
        history = mine.sort("occurred_at").group_by("customer_id", maintain_order=True).agg(pl.col("item_id").tail(60))
        bought = dict(history.iter_rows())
        for (customer,), group in proposed.group_by("customer_id", maintain_order=True):
            ids = group["item_id"].to_list()
            prompt = shopping_prompt([texts[item] for item in bought.get(customer, []) if item in texts], max_titles=8)
            rows.append({"customer_id": customer, "prompt": prompt, "item_ids": ids, "texts": [texts[i] for i in ids]})
    arguments: dict[str, object] = {"base_model": base_model, "attention": attention}
    scored = map_rows(pa.Table.from_pylist(rows), RerankActor, arguments,
                      label="re-ranked by LLaMA", num_workers=num_workers, block_rows=10)  # fmt: skip
    return {"retriever": pl.concat(proposals).filter(pl.col("rank") <= TOP), "text_llama_rerank": _reranked(scored)}


def _reranked(scored: pa.Table) -> pl.DataFrame:
    """customer_id, rank, item_id, score: best score first, equal scores in the retriever's order."""
    frame = pl.from_arrow(scored.select(["customer_id", "item_ids", "scores"]))
    assert isinstance(frame, pl.DataFrame)
    rows = frame.explode("item_ids", "scores").rename({"item_ids": "item_id", "scores": "score"})
    ordered = rows.sort("customer_id", "score", descending=[False, True], maintain_order=True)
    ranked = ordered.with_columns((pl.int_range(pl.len()).over("customer_id") + 1).cast(pl.Int64).alias("rank"))
    return ranked.filter(pl.col("rank") <= TOP).select("customer_id", "rank", "item_id", "score")


def ranking_groups(
    rankings: dict[str, pl.DataFrame], baskets: dict[str, Basket], num_items: int
) -> dict[str, dict[str, dict[str, float | int | None]]]:
    """{group: {model: metrics}}; each model is judged on the customers it ranked."""
    result: dict[str, dict[str, dict[str, float | int | None]]] = {}
    for name, ranking in rankings.items():
        lists = dict(ranking.sort("customer_id", "rank").group_by("customer_id").agg("item_id").iter_rows())
        for group, truths in _truths(baskets, set(lists)).items():
            chosen = {customer: lists[customer] for customer in truths}
            result.setdefault(group, {})[name] = ranking_metrics(chosen, truths, num_items)
    return result


def _truths(baskets: dict[str, Basket], customers: set[str]) -> dict[str, dict[str, set[str]]]:
    truths: dict[str, dict[str, set[str]]] = {
        group: {} for group in ("all", "new", "thin", "rich", "repeat_items", "new_items")
    }
    for customer in sorted(customers):
        basket = baskets[customer]
        truths["all"][customer] = truths[customer_group(basket.num_orders)][customer] = basket.truth
        repeated, fresh = split_truth(basket.truth, basket.bought_before)
        for group, truth in (("repeat_items", repeated), ("new_items", fresh)):
            if truth:
                truths[group][customer] = truth
    return truths


def rankings_frame(rankings: dict[str, pl.DataFrame], task: str) -> pl.DataFrame:
    """rankings.parquet: 20 rows per customer and model."""
    return pl.concat(
        ranking.select("customer_id", pl.lit(task).alias("task"), pl.lit(name).alias("model"),
                       pl.col("rank").cast(pl.Int64), "item_id", pl.col("score").cast(pl.Float64))
        for name, ranking in rankings.items()
    )  # fmt: skip
