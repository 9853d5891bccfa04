"""How rankings did by group of customers, and whether one is better than another."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from lifecycle.metrics.means import mean_draws, mean_intervals, mean_of
from lifecycle.metrics.ranking import RankedLists, accuracy, ranked_lists
from lifecycle.metrics.value import percentile_interval
from lifecycle.recommend.groups import customer_group
from training.evaluate.recommend.measures.catalogue import Catalogue
from training.evaluate.recommend.tasks import Basket
from training.results.recommend import Gain, RankMetrics

TOP = 20
SAMPLED = "@sample"  # behind the name of a ranker: on the customers whom a costly one ranks too
GROUPS = ("all", "new", "thin", "rich", "repeat_items", "new_items")
Groups = dict[str, dict[str, RankMetrics]]  # by group of customers and model
Judged = tuple[
    list[str], RankedLists
]  # the customers asked about in the order of their ids, and their lists
LEVEL = 0.9


def ranking_groups(
    rankings: dict[str, pl.DataFrame], baskets: dict[str, Basket], num_items: int
) -> Groups:
    """Each model's accuracy and coverage by group of the customers: what models are chosen by."""
    result: Groups = {group: {} for group in GROUPS} if rankings else {}
    for name, ranking in rankings.items():
        shown = ranking["item_id"].unique()
        numbers = {item: number for number, item in enumerate(shown)}
        judged = judged_lists(ranking, baskets, numbers)
        for group, lists in _by_group(judged, baskets).items():
            result[group][name] = _metrics(lists, accuracy(lists), num_items)
    return result


def judged_groups(
    judged: Mapping[str, Judged],
    baskets: dict[str, Basket],
    catalogue: Catalogue,
    *,
    num_resamples: int,
    seed: int,
) -> Groups:
    """Each model's metrics by group of the customers it was asked about, with 95 % intervals over customers."""
    result: Groups = {group: {} for group in GROUPS}
    for name, of_model in judged.items():
        for group, lists in _by_group(of_model, baskets).items():
            outside = mean_of(lists.outside_catalogue())
            assert not outside, f"{name} ranks items that are in no catalogue"
            values = accuracy(lists) | beyond_accuracy(lists, catalogue)
            found = _metrics(lists, values, len(catalogue.item_ids))
            intervals = mean_intervals(
                np.stack(list(values.values()), axis=1), num_resamples=num_resamples, seed=seed
            )
            told = {"outside_catalogue": outside, "ci": dict(zip(values, intervals, strict=True))}
            result[group][name] = found.model_copy(update=told)
    return result


def beyond_accuracy(lists: RankedLists, catalogue: Catalogue) -> dict[str, np.ndarray]:
    """Novelty, diversity where there are categories, and shares of repeats of each customer, (n,)."""
    found = {
        "novelty": lists.novelty(catalogue.buyer_share),
        "repeat_share": lists.repeat_ratio(),
        "true_repeat_share": lists.true_repeat_ratio(),
    }
    if catalogue.category is not None:
        found["diversity"] = lists.diversity(catalogue.category)
    return found


def _metrics(lists: RankedLists, values: dict[str, np.ndarray], num_items: int) -> RankMetrics:
    means = {metric: mean_of(of_customers) for metric, of_customers in values.items()}
    num_customers = len(lists.item)
    coverage = lists.coverage(num_items) if num_customers else None
    counted = {"coverage": coverage, "num_customers": num_customers}
    return RankMetrics.model_validate(means | counted)


def lists_of(ranking: pl.DataFrame) -> dict[str, list[str]]:
    """By customer the items, best first."""
    ordered = ranking.sort("customer_id", "rank").group_by("customer_id")
    return dict(ordered.agg("item_id").iter_rows())


def judged_lists(
    ranking: pl.DataFrame, baskets: dict[str, Basket], numbers: dict[str, int]
) -> Judged:
    """A ranking with what the customers of the baskets bought then and before; `numbers` has the items by id.

    Who has no list, as where all that may be proposed was bought before, is one for whom nothing is found.
    """
    lists = lists_of(ranking)
    customers = sorted(baskets)
    asked = [baskets[customer] for customer in customers]
    return customers, ranked_lists(
        [lists.get(customer, []) for customer in customers],
        [basket.truth for basket in asked],
        [basket.bought_before for basket in asked],
        numbers,
    )


def _by_group(judged: Judged, baskets: dict[str, Basket]) -> dict[str, RankedLists]:
    customers, lists = judged
    told = [customer_group(baskets[customer].num_orders) for customer in customers]
    group = np.array(told, dtype=str)
    known = {name: lists.rows(group == name) for name in ("new", "thin", "rich")}
    kinds = {"repeat_items": lists.repeats(), "new_items": lists.explorations()}
    return {"all": lists, **known, **kinds}


def gain_over(
    ranking: pl.DataFrame,
    other: pl.DataFrame,
    name: str,
    baskets: dict[str, Basket],
    *,
    num_resamples: int,
    seed: int,
) -> Gain:
    """Recall@20 and NDCG@20 of a ranking minus those of the ranker called `name`, with paired 90 % intervals.

    They are those of the customers of the baskets.
    """
    customers, ours = judged_lists(ranking, baskets, {})
    _, others = judged_lists(other, baskets, {})
    metrics = ("recall@20", "ndcg@20")
    better, worse = accuracy(ours), accuracy(others)
    gained = np.stack([better[one] - worse[one] for one in metrics], axis=1)
    draws = mean_draws(gained, num_resamples=num_resamples, seed=seed)
    found: dict[str, tuple[float, float, float]] = {}
    for metric, values, drawn in zip(metrics, gained.T, draws.T, strict=True):
        interval = percentile_interval(drawn, LEVEL)
        assert interval is not None
        found[metric] = (float(values.mean()), *interval)
    return Gain.model_validate({"over": name, "num_customers": len(customers), **found})
