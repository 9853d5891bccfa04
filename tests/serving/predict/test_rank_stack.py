"""The stack of rankers from the arena to an answer: written, read again, and served as it ranks."""

from pathlib import Path

import polars as pl
import pytest

from lifecycle.events.schema import EVENT_SCHEMA
from lifecycle.names import RANK_STACK, ROUTER
from lifecycle.value.formula import ClvSettings
from serving.predict.predictor import Predictor
from serving.predict.queries import CustomerQuery, RecommendOptions
from tests.builders import TinyShop
from tests.serving.builders import TEST_CUTOFF
from training.evaluate.job import evaluate
from training.evaluate.recipe import EvaluateConfig
from training.results.arena import Results


@pytest.mark.integration
def test_the_stack_of_rankers_is_written_and_served(tiny_shop: TinyShop, tmp_path: Path) -> None:
    recipe = EvaluateConfig(
        data=tiny_shop.data,
        examples=tiny_shop.examples,
        models=("persistence", "bgnbd_gg", "lightgbm", "stack", RANK_STACK),
        num_resamples=20,
        clv=ClvSettings(period_days=30, num_periods=4),
        report_html=True,
        output=tmp_path,
    )
    evaluate(recipe)
    told = Results.read(tmp_path / "metrics.json").recommender
    assert told.model == RANK_STACK and set(told.settings) == {"repurchase", "tifu_knn"}
    assert told.rank_stack_gain is None  # it had no rival
    predictor = Predictor(tmp_path / "artifact")
    expected = pl.read_parquet(tmp_path / "rankings.parquet").sort("rank")
    assert set(expected["model"]) == {RANK_STACK, ROUTER}
    ids = expected["customer_id"].unique().sort().head(40)
    events = events_of_shop(tiny_shop, ids)
    asked = [CustomerQuery(name, events[name], {}, as_of=TEST_CUTOFF) for name in ids]
    for answer in predictor.recommend(asked, RecommendOptions(k=20)):
        is_theirs = pl.col("customer_id") == answer["customer_id"]
        rows = expected.filter(is_theirs & (pl.col("model") == ROUTER))
        found = [(row["item_id"], row["score"]) for row in answer["recommendations"]]
        assert found == list(rows.select("item_id", "score").iter_rows())
        assert answer["model"] == RANK_STACK


def events_of_shop(shop: TinyShop, ids: pl.Series) -> dict[str, pl.DataFrame]:
    """What these customers did, as a request holds it."""
    events = pl.read_parquet(shop.data / "events" / "*.parquet")
    return {
        name: events.filter(pl.col("customer_id") == name).select(list(EVENT_SCHEMA))
        for name in ids
    }
