"""scores.parquet: its columns, its customers, and that the service says the same."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.events.schema import OWN_RATE
from lifecycle.events.shards import read_shard, shard_paths
from lifecycle.folders import read_manifest, verify
from serving.api.histories import Customer
from serving.api.scoring import queries_of
from serving.predict.predictor import Predictor
from serving.predict.queries import CustomerQuery
from serving.store.events import EventStore
from tests.builders import TinyShop, rewrite_manifest
from tests.training.score.recipes import recipe, write_registered
from training.score.job import score
from training.score.recipe import SCORES_KIND, ScoreConfig, ScoresManifest

COLUMNS = [
    "customer_id",
    "as_of",
    "clv",
    "clv_low_80",
    "clv_high_80",
    "clv_low_95",
    "clv_high_95",
    "revenue",
    "refunds",
    "goods_cost",
    "service_cost",
    "marketing_cost",
    "discounting",
    "annual_discount_rate",
    "expected_orders",
    "expected_order_value",
    "p_active",
    "churn_probability",
    "segment",
    "stage",
    "next_best_action",
]


def test_scores_equal_served_values_by_default_and_at_any_instant(
    tiny_shop: TinyShop, tiny_artifact: Path, tmp_path: Path
) -> None:
    predictor = Predictor(tiny_artifact)
    events = pl.concat([read_shard(path) for path in shard_paths(tiny_shop.data)])
    by_customer = events.partition_by("customer_id", as_dict=True)
    for name, as_of in (("end", None), ("earlier", datetime(2024, 8, 1, 7, 30, tzinfo=UTC))):
        score(recipe(tiny_shop, tiny_artifact, tmp_path / name, as_of=as_of))
        scores = pl.read_parquet(tmp_path / name / "scores.parquet")
        assert set(scores.columns) == set(COLUMNS)
        known = events if as_of is None else events.filter(pl.col("occurred_at") < as_of)
        assert sorted(scores["customer_id"]) == sorted(known["customer_id"].unique())
        assert not any(scores[column].null_count() for column in COLUMNS)
        answers = predictor.value(
            [
                CustomerQuery(customer, by_customer[(customer,)], {}, as_of)
                for customer in scores["customer_id"]
            ]
        )
        for column in COLUMNS[2:]:
            key = column.removeprefix("clv_") if column.startswith("clv_") else column
            served = [answer[key] for answer in answers]
            if scores[column].dtype == pl.String:
                assert scores[column].to_list() == served, column
            else:
                np.testing.assert_allclose(
                    scores[column].to_numpy(), served, rtol=1e-12, err_msg=column
                )
        assert {instant.isoformat() for instant in scores["as_of"]} == {
            answer["as_of"] for answer in answers
        }


def test_customers_with_a_discount_rate_of_their_own_are_scored_and_served_by_it(
    tiny_shop: TinyShop, tiny_artifact: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(tiny_shop.data, data)
    events = read_shard(shard_paths(data)[0])
    customer = events["customer_id"][0]
    score(ScoreConfig(data=data, artifact=tiny_artifact, output=tmp_path / "before"))
    pl.DataFrame({"customer_id": [customer, "x"], OWN_RATE: [0.9, None]}).write_parquet(
        data / "customers.parquet"
    )
    score(ScoreConfig(data=data, artifact=tiny_artifact, output=tmp_path / "after"))
    before, after = (
        pl.read_parquet(tmp_path / name / "scores.parquet") for name in ("before", "after")
    )
    both = before.join(after, on="customer_id", suffix="_after")
    changed = both.filter(pl.col("clv") != pl.col("clv_after"))
    assert (
        changed["customer_id"].to_list() == [customer]
        and (changed["clv_after"] < changed["clv"]).all()
    )
    store = EventStore(data)
    assert store.attributes_of([customer, "x"]) == {customer: {OWN_RATE: 0.9}, "x": {}}
    (query,) = queries_of(store, [Customer(customer_id=customer)])
    (answer,) = Predictor(tiny_artifact).value([query])
    assert (
        answer["clv"] == pytest.approx(changed["clv_after"][0])
        and answer["annual_discount_rate"] == 0.9
    )


def test_who_has_not_bought_is_told_where_nothing_is_known_of_such_customers(
    tiny_shop: TinyShop, tiny_artifact: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = "customers have not bought yet, as nobody whom the artifact has learned from"
    score(recipe(tiny_shop, tiny_artifact, tmp_path / "buyers"))
    assert told not in caplog.text
    data = write_registered(tiny_shop, tmp_path / "data")
    score(ScoreConfig(data=data, artifact=tiny_artifact, output=tmp_path / "scores"))
    scores = pl.read_parquet(tmp_path / "scores" / "scores.parquet")
    assert f"1 of {scores.height} {told}" in caplog.text
    assert scores.filter(customer_id="never seen")["clv"].item() == 0


def test_explained_scores_name_what_moved_them(
    tiny_shop: TinyShop, tiny_artifact: Path, tmp_path: Path
) -> None:
    score(recipe(tiny_shop, tiny_artifact, tmp_path / "scores", explain=True))
    scores = pl.read_parquet(tmp_path / "scores" / "scores.parquet")
    events = pl.concat([read_shard(path) for path in shard_paths(tiny_shop.data)])
    customers = events.filter(kind="purchase")["customer_id"].unique().sort().head(5)
    asked = [
        CustomerQuery(customer, events.filter(customer_id=customer), {}) for customer in customers
    ]
    served = [answer["explanation"] for answer in Predictor(tiny_artifact).value(asked)]
    explained = scores.filter(pl.col("customer_id").is_in(customers.implode())).sort("customer_id")[
        "explanation"
    ]
    assert explained.to_list() == served and all(explained.list.len() >= 2)


def test_data_newer_than_the_artifact_are_served_as_they_are_scored(
    tiny_shop: TinyShop, tiny_artifact: Path, tmp_path: Path
) -> None:
    data, last = tmp_path / "data", datetime(2025, 3, 1, tzinfo=UTC)
    shutil.copytree(tiny_shop.data, data)
    events = read_shard(shard_paths(data)[0])
    newest = (
        pl.when(pl.int_range(pl.len()) == pl.len() - 1).then(pl.lit(last)).otherwise("occurred_at")
    )
    events.with_columns(
        newest.cast(events["occurred_at"].dtype).alias("occurred_at")
    ).write_parquet(shard_paths(data)[0])
    rewrite_manifest(data, last_event_at=last.isoformat())
    score(ScoreConfig(data=data, artifact=tiny_artifact, output=tmp_path / "scores"))
    scores = pl.read_parquet(tmp_path / "scores" / "scores.parquet")
    queries = queries_of(
        EventStore(data), [Customer(customer_id=name) for name in scores["customer_id"]]
    )
    answers = Predictor(tiny_artifact).value(queries)
    assert {answer["as_of"] for answer in answers} == {scores["as_of"][0].isoformat()}
    assert scores["as_of"][0] == last + timedelta(microseconds=1)
    assert [answer["clv"] for answer in answers] == scores["clv"].to_list()
    assert [answer["stage"] for answer in answers] == scores["stage"].to_list()


@pytest.mark.integration
def test_scores_explained_by_events_name_those_of_the_service(
    tiny_shop: TinyShop, tiny_artifact: Path, tmp_path: Path
) -> None:
    score(recipe(tiny_shop, tiny_artifact, tmp_path / "scores", explain="events"))
    scores = pl.read_parquet(tmp_path / "scores" / "scores.parquet").head(5)
    queries = queries_of(
        EventStore(tiny_shop.data), [Customer(customer_id=name) for name in scores["customer_id"]]
    )
    answers = Predictor(tiny_artifact).value(
        [replace(query, explain="events") for query in queries]
    )
    assert scores["explanation"].to_list() == [answer["explanation"] for answer in answers]
    assert "purchase 2024" in scores["explanation"][0][0]["feature"]


def test_scoring_again_changes_nothing(
    tiny_shop: TinyShop, tiny_artifact: Path, tmp_path: Path
) -> None:
    config = recipe(tiny_shop, tiny_artifact, tmp_path / "scores")
    score(config)
    written_at = (tmp_path / "scores" / "scores.parquet").stat().st_mtime_ns
    score(config)
    assert (tmp_path / "scores" / "scores.parquet").stat().st_mtime_ns == written_at
    assert {path.name for path in (tmp_path / "scores").iterdir()} == {
        "manifest.json",
        "scores.parquet",
    }
    verify(tmp_path / "scores", SCORES_KIND)
    manifest = read_manifest(tmp_path / "scores", SCORES_KIND, ScoresManifest)
    assert manifest.num_customers == pl.read_parquet(tmp_path / "scores" / "scores.parquet").height
    with pytest.raises(ValueError, match="other inputs: as_of was .* and is .2024-08-01T00"):
        score(config.model_copy(update={"as_of": datetime(2024, 8, 1, tzinfo=UTC)}))
