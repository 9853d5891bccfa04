"""The arena with a LLaMA on a real local Ray: a tiny member is trained, judged, chosen from, served and scored with."""

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import ray

from lifecycle.artifact.files import load_artifact
from lifecycle.events.shards import read_items, read_shard, shard_paths
from lifecycle.folders import file_sha256, verify
from lifecycle.llama.member import decoder_of, read_member
from lifecycle.names import VALUE_MODELS
from tests.builders import TinyShop
from tests.integration.runs import finish, processes_of, start
from training.evaluate.job import evaluate
from training.evaluate.recipe import EvaluateConfig
from training.prepare.dataset import BACKTEST
from training.prepare.job import prepare
from training.prepare.recipe import PrepareConfig

pytestmark = [pytest.mark.integration, pytest.mark.alone]
SAMPLE = 12
VALUE = {*VALUE_MODELS, "text_llama", "stack_without_llama"}
RANKERS = {"popularity", "personal_frequency", "retriever"}
VALUE_METRICS = {"mae", "rmse", "r2", "spearman", "gini", "decile_mape", "top_decile_share", "bias", "coverage_80",
                 "coverage_95", "customers_per_second", "ci"}  # fmt: skip
RANK_METRICS = {"hr@10", "ndcg@10", "recall@20", "ndcg@20", "coverage", "num_customers"}


@pytest.fixture(scope="module", autouse=True)
def ray_ends_with_the_module() -> Iterator[None]:
    """Also where a fixture fails: tests of other modules start clusters of their own."""
    yield
    ray.shutdown()


@dataclass(frozen=True)
class Trained:
    """A text_llama of a few steps, and one that knows only what was known at the cutoff of the backtest."""

    member: Path
    backtest_member: Path


@pytest.fixture(scope="module")
def trained(
    tiny_shop: TinyShop, tiny_base_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Trained:
    """Both are trained inside this process."""
    from training.run.trainer import fit
    from training.tasks.recipes.union import parse_recipe

    members = []
    for examples in (tiny_shop.examples, tiny_shop.examples / BACKTEST):
        config = {
            "data": tiny_shop.data, "examples": examples, "base_model": str(tiny_base_model),
            "num_layers": 1, "lora": {"rank": 4, "alpha": 8}, "max_tokens": 400, "dtype": "fp32", "attention": "eager",
            "global_batch": 8, "micro_batch": 8, "max_steps": 10, "validation_rows": 16, "checkpoint_every_steps": 10,
            "num_workers": 0, "output": tmp_path_factory.mktemp("text"),
        }  # fmt: skip
        recipe = parse_recipe(config)
        fit(recipe)
        members.append(recipe.output / "member")
    return Trained(*members)


@pytest.fixture(scope="module")
def member(trained: Trained) -> Path:
    """The text_llama that can be served."""
    return trained.member


@pytest.fixture(scope="module")
def config(
    tiny_shop: TinyShop, trained: Trained, tmp_path_factory: pytest.TempPathFactory
) -> EvaluateConfig:
    """The recipe of the arena, sized for tests."""
    return EvaluateConfig.model_validate({
        "data": tiny_shop.data, "examples": tiny_shop.examples, "members": {"text_llama": trained.member},
        "backtest_members": {"text_llama": trained.backtest_member},
        "clv": {"period_days": 30, "num_periods": 3}, "rerank_customers": SAMPLE, "untrained_customers": 30,
        "probe_rows": 40, "num_resamples": 20, "output": tmp_path_factory.mktemp("arena"),
    })  # fmt: skip


@pytest.fixture(scope="module")
def arena(config: EvaluateConfig) -> Path:
    """The finished arena's folder."""
    evaluate(config)
    return config.output


def test_metrics_hold_every_model_group_and_key(arena: Path) -> None:
    metrics = json.loads((arena / "metrics.json").read_text())
    assert (metrics["cutoff"], metrics["horizon_days"]) == ("2024-10-30", 60)
    assert set(metrics["models"]) == VALUE and metrics["champion"] in VALUE
    for entry in metrics["models"].values():
        assert set(entry) == VALUE_METRICS
        assert set(entry["ci"]) == VALUE_METRICS - {"ci", "customers_per_second"}
    groups = metrics["recommendation"]["next_basket"]
    assert set(groups) == {"all", "new", "thin", "rich", "repeat_items", "new_items"}
    names = RANKERS | {f"{name}@sample" for name in (*RANKERS, "retriever")} | {"text_llama_rerank"}
    for group in groups.values():
        assert set(group) == names
        assert all(set(row) == RANK_METRICS for row in group.values())
    sampled = {row["num_customers"] for name, row in groups["all"].items() if name not in RANKERS}
    assert sampled == {SAMPLE}
    verdict = metrics["fine_tuning"]
    assert verdict["num_customers"] == 30
    assert set(verdict["models"]) == {"text_llama", *verdict["text_llama_minus"]}
    for name in ("untrained_probe", "untrained_probe_same_layers", "ridge_same_numbers"):
        assert len(verdict["text_llama_minus"][name]["rmse"]) == 3
    assert set(metrics["champion_minus"]) == VALUE - {metrics["champion"]}
    assert all(
        set(found) == {"mae", "rmse", "gini", "spearman"}
        for found in metrics["champion_minus"].values()
    )
    rmse = {name: metrics["models"][name]["rmse"] for name in ("stack", "stack_without_llama")}
    estimate, low, high = metrics["llama_gain"]["rmse"]
    assert estimate == pytest.approx(rmse["stack"] - rmse["stack_without_llama"]) and low <= high
    assert set(metrics["selection"]["backtest"]) == VALUE, "encoders that were there may be chosen"
    page = (arena / "report.html").read_text()
    assert "What fine-tuning bought" in page and "stack minus stack_without_llama" in page


def test_predictions_have_a_row_per_test_customer_and_model(
    arena: Path, tiny_shop: TinyShop
) -> None:
    frame = pl.read_parquet(arena / "predictions.parquet")
    assert frame.columns == ["customer_id", "model", "predicted", "low_80", "high_80", "low_95", "high_95", "actual",
                             "actual_net"]  # fmt: skip
    test = pl.read_parquet(tiny_shop.examples / "test.parquet")
    for (_,), rows in frame.group_by("model"):
        assert rows["customer_id"].equals(test["customer_id"])
        assert rows["actual"].equals(test["target"], check_names=False)
    assert np.isfinite(frame.select(pl.col(pl.Float64)).to_numpy()).all()


def test_rankings_have_twenty_items_per_customer_and_model(
    arena: Path, tiny_shop: TinyShop
) -> None:
    frame = pl.read_parquet(arena / "rankings.parquet")
    assert frame.columns == ["customer_id", "task", "model", "rank", "item_id", "score"]
    assert set(frame["task"]) == {"next_basket"}
    lists = frame.group_by("model", "customer_id").agg(pl.col("rank").sort(), pl.col("item_id"))
    assert lists["rank"].to_list() == [list(range(1, 21))] * lists.height
    catalogue = set(read_items(tiny_shop.data)["item_id"])
    assert all(len(set(items)) == 20 and set(items) <= catalogue for items in lists["item_id"])
    customers = {model: set(rows["customer_id"]) for (model,), rows in lists.group_by("model")}
    sample = customers["text_llama_rerank"]
    assert len(sample) == SAMPLE and sample < customers["popularity"]
    for name in RANKERS:
        assert customers[f"{name}@sample"] == sample
        full, part = (
            frame.filter(pl.col("model") == model).drop("model")
            for model in (name, f"{name}@sample")
        )
        assert full.filter(pl.col("customer_id").is_in(list(sample))).equals(part)


def test_artifact_carries_the_member_and_it_predicts_what_was_judged(
    arena: Path, member: Path, tiny_shop: TinyShop
) -> None:
    from lifecycle.llama.predict import load_value_predictor

    artifact = load_artifact(arena / "artifact")
    carried = artifact.folder / "members" / "text_llama"
    manifest = read_member(carried)
    assert manifest.identity == read_member(member).identity
    assert artifact.manifest.base_model == manifest.base_model
    predictor = load_value_predictor(carried, decoder_of(manifest))
    test = pl.read_parquet(tiny_shop.examples / "test.parquet")
    judged = pl.read_parquet(arena / "predictions.parquet").filter(pl.col("model") == "text_llama")[
        "predicted"
    ]
    prompts = test["prompt"].to_list()
    np.testing.assert_allclose(
        predictor.expected_spend(prompts[:20]), judged[:20].to_numpy(), rtol=1e-5
    )
    alone = [predictor.expected_spend([prompt])[0] for prompt in prompts[:20]]
    np.testing.assert_allclose(alone, judged[:20].to_numpy(), rtol=1e-5)
    assert predictor.expected_spend([]).shape == (0,)


def test_llama_as_champion_serves_and_scores_alike(
    arena: Path, config: EvaluateConfig, tiny_shop: TinyShop, tmp_path: Path
) -> None:
    from serving.predict.predictor import Predictor
    from serving.predict.queries import CustomerQuery
    from training.score.job import score
    from training.score.recipe import ScoreConfig

    models = ("popularity",)  # of the value models only the member is left
    alone = {"models": models, "untrained_customers": 0, "output": tmp_path / "arena"}
    evaluate(config.model_copy(update=alone))
    artifact = tmp_path / "arena" / "artifact"
    assert load_artifact(artifact).settings.champion == "text_llama"
    as_of = datetime(2024, 4, 1, tzinfo=UTC)
    score(
        ScoreConfig(data=tiny_shop.data, artifact=artifact, output=tmp_path / "scores", as_of=as_of)
    )
    scores = pl.read_parquet(tmp_path / "scores" / "scores.parquet").head(25)
    events = pl.concat([read_shard(path) for path in shard_paths(tiny_shop.data)])
    by_customer = events.partition_by("customer_id", as_dict=True)
    predictor = Predictor(artifact)
    answers = predictor.value(
        [CustomerQuery(name, by_customer[(name,)], {}, as_of) for name in scores["customer_id"]]
    )
    np.testing.assert_allclose(
        scores["clv"].to_numpy(), [answer["clv"] for answer in answers], rtol=1e-5
    )
    assert {answer["model"] for answer in answers} == {"text_llama"}
    json.dumps(answers, allow_nan=False)


def test_stack_with_a_llama_in_it_serves_and_scores_as_it_was_judged(
    arena: Path, tiny_shop: TinyShop, tmp_path: Path
) -> None:
    """The arena gave the tiny LLaMA what share it earned; here it has a half, so that it surely matters."""
    from serving.predict.predictor import Predictor
    from serving.predict.queries import CustomerQuery
    from training.score.job import score
    from training.score.recipe import ScoreConfig

    artifact = stacked(arena / "artifact", tmp_path / "artifact")
    as_of = datetime(2024, 10, 30, tzinfo=UTC)
    score(
        ScoreConfig(data=tiny_shop.data, artifact=artifact, output=tmp_path / "scores", as_of=as_of)
    )
    scores = pl.read_parquet(tmp_path / "scores" / "scores.parquet").head(25)
    events = pl.concat([read_shard(path) for path in shard_paths(tiny_shop.data)])
    by_customer = events.partition_by("customer_id", as_dict=True)
    answers = Predictor(artifact).value(
        [CustomerQuery(name, by_customer[(name,)], {}, as_of) for name in scores["customer_id"]]
    )
    np.testing.assert_allclose(
        scores["clv"].to_numpy(), [answer["clv"] for answer in answers], rtol=1e-5
    )
    judged = pl.read_parquet(arena / "predictions.parquet")
    parts = [
        judged.filter(pl.col("model") == name) for name in ("stack_without_llama", "text_llama")
    ]
    assert parts[0]["customer_id"].equals(parts[1]["customer_id"])
    expected = 0.5 * parts[0]["predicted"] + 0.5 * 2.0 * parts[1]["predicted"]
    by_hand = dict(zip(parts[0]["customer_id"], expected, strict=True))
    within = [sum(period["revenue"] for period in answer["periods"][:2]) for answer in answers]
    known = [name in by_hand for name in scores["customer_id"]]
    assert sum(known) > 10
    wanted = [by_hand[name] for name in scores["customer_id"].filter(known)]
    np.testing.assert_allclose(np.array(within)[known], wanted, rtol=1e-4)


def test_encoders_read_only_customers_with_new_events(
    arena: Path, tiny_shop: TinyShop, tmp_path: Path
) -> None:
    from training.score.job import score
    from training.score.member_cache import MEMBERS_FILE
    from training.score.recipe import ScoreConfig

    artifact = stacked(arena / "artifact", tmp_path / "artifact")
    first, later = datetime(2024, 10, 27, tzinfo=UTC), datetime(2024, 10, 30, tzinfo=UTC)
    common = {"data": tiny_shop.data, "artifact": artifact}
    score(ScoreConfig.model_validate(common | {"output": tmp_path / "first", "as_of": first}))
    again = {"output": tmp_path / "later", "as_of": later, "previous": tmp_path / "first"}
    score(ScoreConfig.model_validate(common | again))
    score(ScoreConfig.model_validate(common | {"output": tmp_path / "anew", "as_of": later}))
    events = pl.concat([read_shard(path) for path in shard_paths(tiny_shop.data)])
    active = set(
        events.filter(pl.col("occurred_at").is_between(first, later, closed="left"))["customer_id"]
    )
    members = pl.read_parquet(tmp_path / "later" / MEMBERS_FILE)
    read_again = set(members.filter(pl.col("computed_at") == later)["customer_id"])
    assert (
        active
        and read_again == active & set(members["customer_id"])
        and len(read_again) < members.height / 2
    )
    cached, anew = (
        pl.read_parquet(tmp_path / name / "scores.parquet") for name in ("later", "anew")
    )
    both = cached.join(anew, on="customer_id", suffix="_anew")
    assert both.height == cached.height == anew.height
    moved = both.filter((pl.col("clv") / pl.col("clv_anew") - 1).abs() > 1e-4)["customer_id"]
    assert moved.len() and not set(moved) & active


def test_killed_worker_of_batch_scoring_is_replaced_and_nobody_is_lost(
    arena: Path, tiny_shop: TinyShop, tmp_path: Path
) -> None:
    from training.score.job import score
    from training.score.recipe import ScoreConfig

    artifact = stacked(arena / "artifact", tmp_path / "artifact")
    recipe = ScoreConfig(data=tiny_shop.data, artifact=artifact, output=tmp_path / "scores")
    recipe.save(tmp_path / "score.yaml")
    process = start(
        tmp_path / "score.yaml", ray.get_runtime_context().gcs_address, module="training.score"
    )
    give_up_at = time.monotonic() + 60
    while not (workers := processes_of("Scorer")):
        assert time.monotonic() < give_up_at
        time.sleep(0.05)
    workers[0].kill()
    log = finish(process)
    assert "8/8 parts (100 %)" in log
    score(recipe.model_copy(update={"num_workers": 1, "output": tmp_path / "alone"}))
    found, alone = (
        pl.read_parquet(folder / "scores.parquet") for folder in (recipe.output, tmp_path / "alone")
    )
    assert found["customer_id"].to_list() == alone["customer_id"].to_list()
    np.testing.assert_allclose(found["clv"].to_numpy(), alone["clv"].to_numpy(), rtol=1e-5)


def stacked(artifact: Path, folder: Path) -> Path:
    """The same artifact, had the arena chosen the stack and given its LLaMA a half, twice as high as it says."""
    shutil.copytree(artifact, folder)
    for name, changes in (
        ("settings.json", {"champion": "stack"}),
        ("stack.json", {"members": {"text_llama": {"scale": 2.0, "share": 0.5}}}),
    ):
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(content | changes))
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in ("settings.json", "stack.json"):
        manifest["files"][name] = file_sha256(folder / name)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_evaluating_again_changes_nothing_and_other_inputs_are_refused(
    arena: Path, config: EvaluateConfig, tiny_shop: TinyShop, tmp_path: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in arena.rglob("*") if path.is_file()}
    evaluate(config)
    evaluate(config.model_copy(update={"num_workers": 1}))
    assert {path: path.stat().st_mtime_ns for path in arena.rglob("*") if path.is_file()} == before
    verify(arena / "artifact", "artifact")
    with pytest.raises(ValueError, match="made from another config"):
        evaluate(config.model_copy(update={"seed": 1}))

    recipe = PrepareConfig.load(tiny_shop.examples / "prepare.yaml")
    others = recipe.model_copy(
        update={"horizon_days": 30, "test_cutoff": None, "output": tmp_path / "examples"}
    )
    prepare(others)
    with pytest.raises(ValueError, match="trained on other examples"):
        evaluate(
            config.model_copy(
                update={"examples": tmp_path / "examples", "output": tmp_path / "new"}
            )
        )
    assert not (tmp_path / "new").exists()
