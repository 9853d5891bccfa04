"""The arena's artifact with a LLaMA in it serves and scores as it was judged."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.artifact.files import load_artifact
from lifecycle.events.shards import read_shard, shard_paths
from lifecycle.llama.member import decoder_of, read_member
from lifecycle.state.lookup import CustomerState
from tests.builders import TinyShop
from tests.integration.evaluate.artifacts import stacked
from training.evaluate.job import evaluate
from training.evaluate.recipe import EvaluateConfig

pytestmark = [pytest.mark.integration, pytest.mark.alone]


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
    score(ScoreConfig(data=tiny_shop.data, artifact=artifact, state=tmp_path / "state"))
    state = CustomerState(tmp_path / "state")
    names = scores["customer_id"].to_list()
    now = predictor.value([CustomerQuery(name, by_customer[(name,)], {}) for name in names])
    kept = [json.loads(state.find(name) or b"") for name in names]
    assert [answer["as_of"] for answer in kept] == [answer["as_of"] for answer in now]
    for key in ("clv", "low_80", "revenue", "churn_probability"):
        np.testing.assert_allclose(
            [answer[key] for answer in kept], [answer[key] for answer in now], rtol=1e-4
        )


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
