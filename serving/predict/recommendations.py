"""The recommendation side of the predictor: ranking over the items that are offered, and reasons."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
from pydantic import JsonValue
from scipy import sparse

from lifecycle.artifact.contents import Artifact
from lifecycle.events.schema import is_purchase, with_shop_days
from lifecycle.features.attributes import given
from lifecycle.names import RANK_STACK, RETRIEVER
from lifecycle.recommend.baselines import before
from lifecycle.recommend.groups import customer_group
from lifecycle.recommend.histories import DAY_SECONDS, with_positions
from lifecycle.recommend.prompts import item_text
from lifecycle.recommend.rankers import rank_items
from lifecycle.state.answers import Answer
from serving.predict.filters import allowed_items, require_columns, require_known_items
from serving.predict.problems import NO_ITEMS, InvalidRequest, Problem
from serving.predict.queries import CustomerQuery, RecommendOptions, cutoff_of, events_of, names_of
from serving.predict.rules import cutoff_frame, first_by_rules

# Rankers that look at what is bought together, and at when an item is bought again.
KNOW_NEIGHBOURS = (RETRIEVER, "item_knn", RANK_STACK)
KNOW_INTERVALS = ("repurchase", RANK_STACK)
DUE_ORDERS = 3  # fewer tell no interval
DUE_FROM, DUE_UNTIL = 0.75, 2.0  # of the interval


@dataclass(frozen=True)
class Asked:
    """A customer within a batch, and which ranker answers."""

    name: str
    as_of: datetime
    num_orders: int
    model: str
    segment: str | None


def recommend(
    artifact: Artifact, customers: Sequence[CustomerQuery], options: RecommendOptions
) -> list[Answer]:
    """The answer of /v1/recommendations for each customer, in order; customers without history get popular items.

    InvalidRequest names the options that this artifact cannot serve.
    """
    require_known_items(artifact.items, options)
    router = artifact.settings.router
    if artifact.retriever is None or router is None:
        raise InvalidRequest([Problem("customers", NO_ITEMS)])
    require_columns(artifact.items, options)
    if not customers:
        return []
    as_of = [cutoff_of(customer, artifact.data_end) for customer in customers]
    purchases = _purchases(artifact, customers, as_of)
    orders = dict(purchases.group_by("customer_id").agg(pl.col("order_id").n_unique()).iter_rows())
    asked = []
    for name, customer, instant in zip(names_of(customers), customers, as_of, strict=True):
        num_orders = orders.get(name, 0)
        segment = _segment(artifact, customer)
        model = router.ranker_of(num_orders, knows_segment=segment is not None)
        asked.append(Asked(name, instant, num_orders, model, segment))
    bought = with_positions(purchases, artifact.retriever.item_ids)
    ranked = _ranked(artifact, bought, asked, options)
    listed = _listed(ranked, _habits(bought, asked), _related(artifact, ranked, bought, asked))
    return [
        {
            "customer_id": customer.customer_id,
            "recommendations": listed.get(one.name, []),
            "model": one.model,
            "group": customer_group(one.num_orders),
            "as_of": one.as_of.isoformat(),
        }
        for one, customer in zip(asked, customers, strict=True)
    ]


def _segment(artifact: Artifact, customer: CustomerQuery) -> str | None:
    """The customer's value of the attribute that tells what newcomers buy; None where nobody knows it."""
    segments = None if artifact.rankers is None else artifact.rankers.segments
    if segments is None:
        return None
    code = next(code for code in artifact.settings.attributes if code.name == segments.attribute)
    value = given(code, customer.attributes.get(code.name))
    return value if isinstance(value, str) and value in segments.values else None


def _purchases(
    artifact: Artifact, customers: Sequence[CustomerQuery], as_of: Sequence[datetime]
) -> pl.DataFrame:
    """The purchases of items, each customer's before its instant, as `before` gives them."""
    events = with_shop_days(events_of(customers), artifact.settings.timezone)
    cutoffs = pl.DataFrame({"customer_id": names_of(customers), "cutoff": as_of})
    purchases = events.filter(is_purchase()).join(cutoffs, on="customer_id", maintain_order="left")
    return before(purchases, pl.col("cutoff"))


def _ranked(
    artifact: Artifact, bought: pl.DataFrame, asked: Sequence[Asked], options: RecommendOptions
) -> pl.DataFrame:
    """customer_id, item_id, title, category and score of the k best items that may be recommended, best first."""
    rankers = artifact.rankers
    assert rankers is not None
    allowed = allowed_items(artifact.items, options)
    offered = None
    if allowed is not None:
        is_offered = pl.col("item_id").is_in(allowed["item_id"].implode())
        offered = rankers.retriever.popular.filter(is_offered)
    everything = rankers.retriever.popular if offered is None else offered
    num_items = max(everything.height, 1)  # rankings have a length where nothing is offered too
    alike: dict[tuple[datetime, str], list[Asked]] = {}
    for one in asked:
        alike.setdefault((one.as_of, one.model), []).append(one)

    def rank(length: int) -> pl.DataFrame:
        # A margin may lift any item, so that all offered ones are ranked before it is looked at.
        k = length if options.objective == "probability" else num_items
        rankings = [
            rank_items(
                model,
                rankers,
                bought,
                pl.Series("customer_id", [one.name for one in some]),
                cutoff=instant,
                k=k,
                exclude_seen=artifact.settings.exclude_seen,
                offered=offered,
                segments=[one.segment for one in some],
            )
            for (instant, model), some in alike.items()
        ]
        ranked = with_positions(pl.concat(rankings), artifact.catalogue["item_id"])
        described = ranked.hstack(artifact.catalogue[ranked["item"]].drop("item_id"))
        return _by_margin(described, length) if options.objective == "margin" else described

    cutoffs = _cutoffs(asked)
    return first_by_rules(rank, bought, cutoffs, options, num_items)


def _by_margin(ranked: pl.DataFrame, k: int) -> pl.DataFrame:
    """By what each item is expected to earn; one without a margin earns nothing."""
    margin = pl.col("margin").cast(pl.Float64).fill_nan(0.0).fill_null(0.0)
    earned = ranked.with_columns(pl.col("score") * margin)
    best_first = earned.sort("score", descending=True, maintain_order=True)
    return best_first.group_by("customer_id", maintain_order=True).head(k)


def _cutoffs(asked: Sequence[Asked]) -> pl.DataFrame:
    return cutoff_frame([one.name for one in asked], [one.as_of for one in asked])


def _habits(bought: pl.DataFrame, asked: Sequence[Asked]) -> pl.DataFrame:
    """By customer and item `times`, its number of orders; where it is due, `every` and `since`, in whole days.

    An item is due where about as many days have passed as usually between its orders, and the
    customer's ranker looks at that.
    """
    pair = ["customer_id", "item_id"]
    at = pl.col("occurred_at")
    times = pl.col("order_id").n_unique()
    found = bought.group_by(pair).agg(times.alias("times"), first=at.min(), last=at.max())
    knowing = [one for one in asked if one.model in KNOW_INTERVALS]
    if not knowing:
        return found.select(*pair, "times", every=None, since=None)
    cutoffs = _cutoffs(knowing)
    passed = (pl.col("cutoff") - pl.col("last")).dt.total_seconds() / DAY_SECONDS
    usual = (pl.col("last") - pl.col("first")).dt.total_seconds() / DAY_SECONDS
    every = usual / (pl.col("times") - 1)
    late = passed / every
    is_due = (pl.col("times") >= DUE_ORDERS) & late.is_between(DUE_FROM, DUE_UNTIL) & (every >= 1.5)
    days = {"every": every.round(), "since": passed.round()}
    told = {
        name: pl.when(is_due).then(value.cast(pl.Int64, strict=False))
        for name, value in days.items()
    }
    return found.join(cutoffs, on="customer_id", how="left").select(*pair, "times", **told)


def _listed(
    ranked: pl.DataFrame, habits: pl.DataFrame, related: np.ndarray
) -> dict[str, list[JsonValue]]:
    """By customer the ranked items as they are answered."""
    pair = ["customer_id", "item_id"]
    known = ranked.join(habits, on=pair, how="left", maintain_order="left")
    times = pl.col("times").fill_null(0)
    rows = known.select(*pair, "title", "category", "score", times, "every", "since")
    listed: dict[str, list[JsonValue]] = {}
    for place, (name, item, title, category, score, *habit) in enumerate(rows.iter_rows()):
        listed.setdefault(name, []).append(
            {
                "item_id": item,
                "title": item_text(title, category),
                "score": score,
                "reason": _reason(*habit, is_related=bool(related[place])),
            }
        )
    return listed


def _related(
    artifact: Artifact, ranked: pl.DataFrame, bought: pl.DataFrame, asked: Sequence[Asked]
) -> np.ndarray:
    """Whether others bought a ranked item together with one of the customer's, whose ranker looks at that."""
    retriever = artifact.retriever
    knows = np.array([one.model in KNOW_NEIGHBOURS for one in asked])
    if retriever is None or not knows.any():
        return np.zeros(ranked.height, dtype=bool)
    pairs = bought.select("customer_id", "item").unique()
    rows, columns = pairs["customer_id"].cast(pl.Int64).to_numpy(), pairs["item"].to_numpy()
    customer = ranked["customer_id"].cast(pl.Int64).to_numpy()
    shape = (len(asked), len(retriever.item_ids))
    own = sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)
    found: np.ndarray = (own @ retriever.similarity)[customer, ranked["item"].to_numpy()] > 0
    return found & knows[customer]


def _reason(num_orders: int, every: int | None, since: int | None, *, is_related: bool) -> str:
    if every is not None:
        return f"due: bought every {every} days, last {since} days ago"
    if num_orders > 1:
        return f"bought in {num_orders} orders before"
    if num_orders == 1:
        return "bought once before"
    return (
        "bought together with earlier purchases" if is_related else "popular with other customers"
    )
