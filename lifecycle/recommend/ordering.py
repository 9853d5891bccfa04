"""From scores to rankings: the best of what may be recommended, filled up with popular items."""

import numpy as np
import polars as pl
from scipy import sparse

from lifecycle.recommend.baselines import first_k, popular_unseen
from lifecycle.recommend.histories import Histories, with_positions
from lifecycle.recommend.scorers.ranker import keep_best, kept_entries

GROUP_ITEMS = 128  # neighbours in the catalogue, of which only the highest score is looked at first


def best_of_rows(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and items of the k highest scores of each row (n, items), best first; ties go to the first item.

    There are fewer where fewer scores of a row are above -infinity.
    """
    num_groups = scores.shape[1] // GROUP_ITEMS
    end = num_groups * GROUP_ITEMS
    grouped = scores[:, :end].reshape(len(scores), num_groups, GROUP_ITEMS)
    highest = grouped.max(axis=2)
    bound = _kth_highest(highest if num_groups >= k else scores, k)
    # At least k scores of a row reach its bound, and few more.
    row, group = np.nonzero(highest >= bound)
    of_group, place = np.nonzero(grouped[row, group] >= bound[row])
    of_rest, rest = np.nonzero(scores[:, end:] >= bound)
    item = np.append(group[of_group] * GROUP_ITEMS + place, end + rest)
    return _first_of_rows(scores, np.append(row[of_group], of_rest), item, k)


def _kth_highest(values: np.ndarray, k: int) -> np.ndarray:
    """Of each row, (n, 1); the lowest where there are fewer."""
    place = max(values.shape[1] - k, 0)
    found: np.ndarray = np.partition(values, place, axis=1)[:, [place]]
    return found


def _first_of_rows(
    scores: np.ndarray, row: np.ndarray, item: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Of some places of the scores the k best of each row, as `best_of_rows`."""
    score = scores[row, item]
    order = np.lexsort((item, -score, row))
    order = order[score[order] > -np.inf]
    row, item = row[order], item[order]
    is_first = places_in_rows(row, len(scores)) < k
    return row[is_first], item[is_first]


def places_in_rows(row: np.ndarray, num_rows: int) -> np.ndarray:
    """From 0, the place of each entry among those of its row; rows ascend."""
    ends = np.cumsum(np.bincount(row, minlength=num_rows))
    starts = np.append(0, ends[:-1])
    found: np.ndarray = np.arange(len(row)) - starts[row]
    return found


def rank_scores(
    scores: sparse.csr_array,
    histories: Histories,
    customer_ids: pl.Series,
    item_ids: pl.Series,
    popular: pl.DataFrame,
    *,
    k: int,
    exclude_seen: bool,
) -> pl.DataFrame:
    """The k best items for each customer by score (tie: first in the catalogue), then popular ones, as a ranking.

    Scores are of items of `popular`. One that fills up scores less than all that a customer's row
    has a score above 0 for.
    """
    best = keep_best(without_own(scores, histories) if exclude_seen else scores, k)
    scored = named(best, customer_ids, item_ids)
    num_missing = min(k, popular.height) - np.diff(best.indptr)
    if not (num_missing > 0).any():
        return scored
    seen = scored.select("customer_id", "item_id")
    if exclude_seen:
        seen = pl.concat([seen, own_items(histories, customer_ids, item_ids)])
    least = pl.DataFrame({"customer_id": customer_ids, "least": least_scores(best)})
    short = least.filter(pl.Series(num_missing > 0))
    padding = popular_unseen(popular, short["customer_id"], seen, k).join(short, on="customer_id")
    share = pl.col("score") / (popular["score"].max() + 1)  # type: ignore[operator]
    filled = padding.select("customer_id", pl.col("rank") + k, "item_id", share * pl.col("least"))
    return first_k(pl.concat([scored, filled]), customer_ids, k)


def is_offered(offered: pl.DataFrame, item_ids: pl.Series) -> np.ndarray:
    """Which items of the catalogue are in a popularity, (items,)."""
    found = np.zeros(len(item_ids), dtype=bool)
    found[with_positions(offered, item_ids)["item"].to_numpy()] = True
    return found


def without_own(scores: sparse.csr_array, histories: Histories) -> sparse.csr_array:
    """The scores of items that the customer has not bought."""
    pairs = histories.pairs
    own = pairs.customer * histories.num_items + pairs.item
    rows = np.repeat(np.arange(scores.shape[0]), np.diff(scores.indptr))
    return kept_entries(scores, ~np.isin(rows * histories.num_items + scores.indices, own))


def entries_at(matrix: sparse.csr_array, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The entries at these places, (n,)."""
    if not len(rows):
        return np.zeros(0)  # scipy would give a matrix
    # Copies: scipy sets flags of arrays that polars does not let anybody write to.
    return np.asarray(matrix[rows.astype(np.int64), columns.astype(np.int64)])


def named(best: sparse.csr_array, customer_ids: pl.Series, item_ids: pl.Series) -> pl.DataFrame:
    """The entries of a matrix as a ranking."""
    customer = np.repeat(np.arange(best.shape[0]), np.diff(best.indptr))
    order = np.lexsort((best.indices, -best.data, customer))
    columns = {
        "customer_id": customer_ids.gather(customer[order]),
        "rank": np.arange(len(order)) - best.indptr[customer] + 1,
        "item_id": item_ids.gather(best.indices[order]),
        "score": best.data[order].astype(np.float64),
    }
    return pl.DataFrame(columns)


def own_items(histories: Histories, customer_ids: pl.Series, item_ids: pl.Series) -> pl.DataFrame:
    """customer_id and item_id of what each customer has bought."""
    pairs = histories.pairs
    customer = customer_ids.gather(pairs.customer).alias("customer_id")
    return pl.DataFrame([customer, item_ids.gather(pairs.item).alias("item_id")])


def least_scores(best: sparse.csr_array) -> np.ndarray:
    """The least score of each row, and 1 where it has none."""
    least = np.ones(best.shape[0])
    has_any = np.diff(best.indptr) > 0
    if has_any.any():
        least[has_any] = np.minimum.reduceat(best.data, best.indptr[:-1][has_any])
    return least
