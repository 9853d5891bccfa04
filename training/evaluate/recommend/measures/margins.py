"""What lists earn against how often they hit, as the weight of the items' margins in their order goes from 0 to 1.

An item's worth to a customer is its score times (1 - w + w x margin / mean margin). So a weight of 0
gives the ranker's own lists, and one of 1 those of `objective: margin` of /v1/recommendations.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from lifecycle.metrics.means import mean_intervals
from lifecycle.recommend.histories import with_positions
from lifecycle.recommend.rankers import Rankers, rank_items
from training.evaluate.inputs import Inputs
from training.evaluate.recommend.measures.catalogue import Catalogue
from training.evaluate.recommend.next_item import fitted
from training.evaluate.recommend.reranked import customers_of
from training.evaluate.recommend.tasks import Basket, RankingTask
from training.evaluate.recommend.windows import Learned, open_window
from training.results.recommend import MarginCurve, MarginPoint

SHOWN = 10  # items of a list
WEIGHTS = tuple(step / 10 for step in range(11))
# Items that are put in order: so many of all customers together, and at least LEAST of each.
MAX_CANDIDATES = 1_000_000
LEAST = 100


@dataclass(frozen=True)
class Margins:
    """What an item of the catalogue earns whenever it is bought."""

    of_item: np.ndarray  # (items,) in money, 0 where unknown: as the service has it
    is_known: np.ndarray  # (items,)
    source: str  # catalogue, or costs


@dataclass(frozen=True)
class Scored:
    """The candidates of n customers, best first, arrays (n, k); behind the last are places without an item."""

    is_item: np.ndarray
    score: np.ndarray
    margin: np.ndarray
    is_hit: np.ndarray


def margin_curve(
    inputs: Inputs, task: RankingTask, catalogue: Catalogue, chosen: str, learned: Learned
) -> MarginCurve | None:
    """That of the ranker which was chosen, on all customers of the task; None where no margin is known."""
    margins = read_margins(task, inputs.items, catalogue)
    if margins is None:
        return None
    config = inputs.config
    window = open_window(task, inputs.items, config.seed)
    depth = max(LEAST, MAX_CANDIDATES // len(task.baskets))
    num_candidates = min(depth, len(catalogue.item_ids))
    rankers = fitted(inputs, window, [chosen], learned)
    scored = _scored(inputs, task, rankers, chosen, num_candidates, catalogue, margins)
    was_bought = catalogue.num_buyers > 0
    scale = float(np.abs(margins.of_item[margins.is_known]).mean()) or 1.0
    return MarginCurve(
        model=chosen,
        source=margins.source,
        known_margins=float(margins.is_known[was_bought].mean()) if was_bought.any() else 0.0,
        num_candidates=num_candidates,
        num_customers=len(scored.score),
        points=[
            margin_point(scored, weight, scale, config.num_resamples, config.seed)
            for weight in WEIGHTS
        ],
    )


def read_margins(task: RankingTask, items: pl.DataFrame, catalogue: Catalogue) -> Margins | None:
    """The catalogue's column `margin`; else the mean of amount less cost of an item's lines before the cutoff."""
    found, source = _told(items), "catalogue"
    if found.is_empty():
        found, source = _from_costs(task), "costs"
    known = with_positions(found, catalogue.item_ids)
    if known.is_empty():
        return None
    of_item = np.zeros(len(catalogue.item_ids))
    is_known = np.zeros(len(of_item), dtype=bool)
    of_item[known["item"]] = known["margin"]
    is_known[known["item"]] = True
    return Margins(of_item, is_known, source)


def _told(items: pl.DataFrame) -> pl.DataFrame:
    """item_id and margin where the catalogue has a number."""
    if "margin" not in items.columns:
        return pl.DataFrame(schema={"item_id": pl.String, "margin": pl.Float64})
    margin = pl.col("margin").cast(pl.Float64, strict=False).fill_nan(None)
    return items.select("item_id", margin).drop_nulls().unique("item_id", keep="first")


def _from_costs(task: RankingTask) -> pl.DataFrame:
    """item_id and margin of what was bought before the cutoff in lines whose cost is known."""
    margin = (pl.col("amount") - pl.col("cost")).alias("margin")
    sums = []
    for shard in task.shards("amount", "cost"):
        lines = shard.filter(pl.col("occurred_at") < task.cutoff).select("item_id", margin)
        by_item = lines.drop_nulls().group_by("item_id")
        sums.append(by_item.agg(pl.col("margin").sum(), lines=pl.len()))
    total = pl.concat(sums).group_by("item_id").agg(pl.col("margin", "lines").sum())
    return total.select("item_id", pl.col("margin") / pl.col("lines"))


def _scored(
    inputs: Inputs,
    task: RankingTask,
    rankers: Rankers,
    chosen: str,
    num_candidates: int,
    catalogue: Catalogue,
    margins: Margins,
) -> Scored:
    parts = []
    for shard in task.shards():
        known = shard.filter(pl.col("item_id").is_in(rankers.retriever.item_ids.implode()))
        customers = customers_of(shard, task.baskets)
        ranking = rank_items(
            chosen,
            rankers,
            known,
            customers,
            cutoff=task.cutoff,
            k=num_candidates,
            exclude_seen=inputs.config.exclude_seen,
        )
        parts.append(_placed(ranking, customers, task.baskets, num_candidates, catalogue, margins))
    columns = [np.concatenate(one) for one in zip(*parts, strict=True)]
    return Scored(*columns)


def _placed(
    ranking: pl.DataFrame,
    customers: pl.Series,
    baskets: dict[str, Basket],
    num_candidates: int,
    catalogue: Catalogue,
    margins: Margins,
) -> tuple[np.ndarray, ...]:
    """Of a ranking what Scored has of the sorted customers, each (customers, num_candidates)."""
    rows = with_positions(ranking, catalogue.item_ids)
    row = customers.search_sorted(rows["customer_id"]).to_numpy()
    place = rows["rank"].to_numpy() - 1
    shape = (len(customers), num_candidates)
    is_item, is_hit = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    score, margin = np.zeros(shape), np.zeros(shape)
    is_item[row, place] = True
    score[row, place] = rows["score"]
    margin[row, place] = margins.of_item[rows["item"]]
    pairs = rows.select("customer_id", "item_id").iter_rows()
    is_hit[row, place] = [item in baskets[name].truth for name, item in pairs]
    return is_item, score, margin, is_hit


def margin_point(
    scored: Scored, weight: float, scale: float, num_resamples: int, seed: int
) -> MarginPoint:
    """How the lists of SHOWN items of a weight do; `scale` is the mean size of a margin."""
    is_hit, margin = first_by_worth(scored, weight, scale, SHOWN)
    values = {"hr@10": is_hit.any(axis=1), "margin@10": (is_hit * margin).sum(axis=1)}
    columns = np.stack(list(values.values()), axis=1).astype(np.float64)
    intervals = mean_intervals(columns, num_resamples=num_resamples, seed=seed)
    told: dict[str, object] = dict(zip(values, columns.mean(axis=0).tolist(), strict=True))
    ci = dict(zip(values, intervals, strict=True))
    return MarginPoint.model_validate({"weight": weight, "ci": ci} | told)


def first_by_worth(
    scored: Scored, weight: float, scale: float, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Of the k items that are worth most to each customer, which are hits, and the margins: (n, k); ties by rank."""
    worth = probabilities(scored.score) * (1 - weight + weight * scored.margin / scale)
    order = np.argsort(-np.where(scored.is_item, worth, -np.inf), axis=1, kind="stable")[:, :k]
    is_hit = np.take_along_axis(scored.is_hit, order, axis=1)
    return is_hit, np.take_along_axis(scored.margin, order, axis=1)


def probabilities(score: np.ndarray) -> np.ndarray:
    """What is above 0 and in proportion to probabilities: scores as they are, or what they are the logarithms of."""
    found: np.ndarray = np.exp(score) if (score < 0).any() else score
    return found
