"""scores.parquet: its columns, its customers, and that the service says the same."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.events.schema import OWN_RATE
from lifecycle.events.shards import read_shard, shard_paths
from lifecycle.folders import MANIFEST, read_manifest, verify
from serving.api.histories import Customer
from serving.api.scoring import queries_of
from serving.predict.predictor import Predictor
from serving.predict.queries import CustomerQuery
from serving.store.events import EventStore
from tests.builders import TinyShop, rewrite_manifest
from training.ingest.job import ingest
from training.ingest.recipe import IngestConfig
from training.score.job import score
from training.score.parts import ScoreParts, merge_parts
from training.score.recipe import SCORES_KIND, ScoreConfig, ScoresManifest
from training.score.scorer import Scorer, score_parts

COLUMNS = ["customer_id", "as_of", "clv", "clv_low_80", "clv_high_80", "clv_low_95", "clv_high_95", "revenue",
           "refunds", "goods_cost", "service_cost", "marketing_cost", "discounting", "annual_discount_rate",
           "expected_orders", "expected_order_value", "p_active", "churn_probability", "segment", "stage",
           "next_best_action"]  # fmt: skip


def recipe(shop: TinyShop, artifact: Path, output: Path, **changes: object) -> ScoreConfig:
    places = {"data": shop.data, "artifact": artifact, "output": output}
    return ScoreConfig.model_validate(places | changes)


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
    with pytest.raises(ValueError, match="other inputs"):
        score(config.model_copy(update={"as_of": datetime(2024, 8, 1, tzinfo=UTC)}))


def test_parts_that_are_there_are_kept_and_every_customer_is_scored_once(
    tiny_shop: TinyShop, tiny_artifact: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    parts = ScoreParts(tiny_artifact, tiny_shop.data, datetime(2025, 1, 1, tzinfo=UTC), folder)
    assert len(parts.missing()) >= 8
    scorer = Scorer(parts)
    for shard, piece in parts.missing()[:3]:
        scorer.score(shard, piece)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    (folder / "00000-7.incomplete").write_bytes(b"half")
    shutil.copy(
        parts.file(*parts.numbers()[0]), folder / "00000-99.parquet"
    )  # of another split of the customers
    assert len(before) == 3 and not {path.name for path in before} & {
        parts.file(*part).name for part in parts.missing()
    }
    score_parts(parts, num_workers=2)
    assert (
        not parts.missing()
        and before.items() <= {path: path.stat().st_mtime_ns for path in folder.iterdir()}.items()
    )
    customers = {
        name for path in shard_paths(tiny_shop.data) for name in read_shard(path)["customer_id"]
    }
    assert merge_parts(parts, tmp_path) == len(customers)
    score(recipe(tiny_shop, tiny_artifact, tmp_path / "at-once", as_of=parts.as_of))
    once, again = (
        pl.read_parquet(place / "scores.parquet") for place in (tmp_path, tmp_path / "at-once")
    )
    assert set(once["customer_id"]) == customers and once.equals(again)
    assert not list(tmp_path.glob("at-once.parts*"))


def test_folders_of_others_beside_the_output_stay(
    tiny_shop: TinyShop, tiny_artifact: Path, tmp_path: Path
) -> None:
    for name in ("scores.parts-mine", "scores.parts-0123456789ab", "other.parts-0123456789ab"):
        (tmp_path / name).mkdir()
    (tmp_path / "scores.parts-list.txt").write_text("")
    for _ in range(2):
        score(recipe(tiny_shop, tiny_artifact, tmp_path / "scores"))
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {
        "scores",
        "scores.parts-mine",
        "scores.parts-list.txt",
        "other.parts-0123456789ab",
    }


def test_scores_of_another_artifact_are_not_built_on(
    tiny_shop: TinyShop, tiny_artifact: Path, tmp_path: Path
) -> None:
    before = tmp_path / "before"
    score(recipe(tiny_shop, tiny_artifact, before, as_of=datetime(2024, 8, 1, tzinfo=UTC)))
    score(
        recipe(tiny_shop, tiny_artifact, tmp_path / "after", previous=before)
    )  # no encoder: nothing is remembered
    score(recipe(tiny_shop, tiny_artifact, tmp_path / "anew"))
    after, anew = (
        pl.read_parquet(tmp_path / name / "scores.parquet") for name in ("after", "anew")
    )
    assert after.equals(anew)
    manifest = json.loads((before / MANIFEST).read_text())
    (before / MANIFEST).write_text(json.dumps(manifest | {"artifact_files": "other"}))
    with pytest.raises(ValueError, match="previous: the scores .* were not made by what"):
        score(recipe(tiny_shop, tiny_artifact, tmp_path / "x", previous=before))


def test_before_the_first_event_there_is_nobody_to_score(
    tiny_shop: TinyShop, tiny_artifact: Path, tmp_path: Path
) -> None:
    config = recipe(
        tiny_shop, tiny_artifact, tmp_path / "scores", as_of=datetime(2020, 1, 1, tzinfo=UTC)
    )
    with pytest.raises(ValueError, match="no customer with an event before 2020-01-01"):
        score(config)
    assert not list(tmp_path.iterdir())


def test_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="as_of"):
        ScoreConfig.model_validate(
            {"data": "a", "artifact": "b", "output": "c", "as_of": "2024-01-01T07:00:00"}
        )


def test_date_is_its_midnight_in_utc(
    tiny_shop: TinyShop, tiny_artifact: Path, tmp_path: Path
) -> None:
    score(ScoreConfig.model_validate({"data": tiny_shop.data, "artifact": tiny_artifact, "output": tmp_path / "s",
                                      "as_of": date(2024, 8, 1)}))  # fmt: skip
    scores = pl.read_parquet(tmp_path / "s" / "scores.parquet")
    assert scores["as_of"].unique().to_list() == [datetime(2024, 8, 1, tzinfo=UTC)]


def test_data_in_another_currency_are_refused(
    tiny_shop: TinyShop, tiny_artifact: Path, tmp_path: Path
) -> None:
    recipe_of_shop = IngestConfig.load(
        tiny_shop.data / "ingest.yaml", ["currency=EUR", f"output={tmp_path / 'data'}"]
    )
    ingest(recipe_of_shop)
    config = ScoreConfig(data=tmp_path / "data", artifact=tiny_artifact, output=tmp_path / "scores")
    with pytest.raises(ValueError, match="the data are in EUR, but artifact .* was made in USD"):
        score(config)
