"""The recipes for ratings without money: rankers asked for each person's last item."""

from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from tests.integration.recipes.files import read_json, rows_of
from tests.integration.recipes.ratings import write_ratings
from tests.integration.recipes.sets import beside, judge

pytestmark = pytest.mark.integration
USERS = [f"u{number}" for number in range(600)]
WINDOW_SECONDS = 91 * 86_400
History = dict[str, list[tuple[int, str]]]  # by person: when, and which item


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that the recipes make of the ratings of 600 people."""
    with beside(tmp_path_factory.mktemp("set"), "ratings") as exports:
        write_ratings(exports, USERS, 1)
        judge("ratings")
    return exports


@pytest.fixture(scope="module")
def histories(folder: Path) -> History:
    """Each person's ratings in the order of time."""
    found: History = {user: [] for user in USERS}
    for row in rows_of(folder / "ratings.csv"):
        found[row["user_id"]].append((int(row["timestamp"]), row["item_id"]))
    return {user: sorted(ratings) for user, ratings in found.items()}


def lists_of(folder: Path, model: str) -> dict[str, list[str]]:
    rankings = pl.read_parquet(folder / "arena" / "rankings.parquet").sort("customer_id", "rank")
    own = rankings.filter((pl.col("model") == model) & (pl.col("task") == "next_item"))
    return dict(own.group_by("customer_id", maintain_order=True).agg("item_id").iter_rows())


def test_no_rating_is_lost_though_none_has_an_amount(folder: Path) -> None:
    quality = read_json(folder / "data" / "quality.json")
    assert quality["account"]["kept"]["rows"] == len(rows_of(folder / "ratings.csv"))
    assert quality["rows_dropped"] == {}
    assert quality["models"]["recommendation"]["supported"]
    assert not quality["models"]["persistence"]["supported"]


def test_hit_rates_are_of_the_last_item_of_whoever_has_two(
    folder: Path, histories: History
) -> None:
    metrics = read_json(folder / "arena" / "metrics.json")
    asked = {user: items for user, items in histories.items() if len(items) > 1}
    for model, told in metrics["recommendation"]["next_item"]["all"].items():
        lists = lists_of(folder, model)
        assert set(lists) == set(asked)
        hits = [asked[user][-1][1] in ranked[:10] for user, ranked in lists.items()]
        assert told["hr@10"] == pytest.approx(sum(hits) / len(asked))
        assert told["num_customers"] == len(asked) == metrics["num_customers"]


def test_popularity_counts_what_others_chose_lately_but_no_held_out_item(
    folder: Path, histories: History
) -> None:
    known = {user: items[:-1] if len(items) > 1 else items for user, items in histories.items()}
    end = max(items[-1][0] for items in known.values())
    counts: Counter[str] = Counter()
    for items in known.values():
        counts.update(item for second, item in items if second > end - WINDOW_SECONDS)
    for user, ranked in lists_of(folder, "popularity").items():
        seen = {item for _, item in known[user]}
        unseen = sorted(
            (number for item, number in counts.items() if item not in seen), reverse=True
        )
        assert not seen & set(ranked)
        assert [counts[item] for item in ranked] == unseen[:20]


def test_ranker_that_knows_what_goes_together_serves_as_tastes_differ(folder: Path) -> None:
    metrics = read_json(folder / "arena" / "metrics.json")
    found = metrics["recommendation"]["next_item"]["all"]
    chosen = metrics["recommender"]["model"]
    assert found[chosen]["ndcg@20"] > 1.3 * found["popularity"]["ndcg@20"]
    assert found["retriever"]["ndcg@20"] > 1.3 * found["popularity"]["ndcg@20"]
    assert metrics["models"] == {} and metrics["champion"] is None
    assert not (folder / "arena" / "artifact").exists()
    assert "next item" in (folder / "arena" / "report.html").read_text()
