"""Stages as jobs: their ids, and the service that is deployed; a real cluster is tests/integration/test_submit.py."""

from pathlib import Path

import pytest

from tests.builders import REPOSITORY
from training.pipeline.cluster import jobs_of, next_id, run_as_jobs, service_config
from training.pipeline.recipe import PipelineConfig

RECIPE = REPOSITORY / "cluster" / "configs" / "pipeline.yaml"


def test_stage_that_has_ended_is_submitted_under_the_next_id() -> None:
    ended = {"shop-tune": "SUCCEEDED", "shop-tune-2": "FAILED", "shop-train": "STOPPED"}
    assert next_id("shop-prepare", ended) == "shop-prepare"
    assert next_id("shop-tune", ended) == "shop-tune-3"
    assert next_id("shop-train", ended) == "shop-train-2"


@pytest.mark.parametrize("status", ["PENDING", "RUNNING"])
def test_stage_that_has_not_ended_is_refused(status: str) -> None:
    jobs = {"shop-tune": "FAILED", "shop-tune-2": status}
    with pytest.raises(ValueError, match=f"job shop-tune-2 is {status} already"):
        next_id("shop-tune", jobs)


def test_service_gets_what_evaluate_writes_and_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    config = PipelineConfig.load(RECIPE)
    assert config.deploy is not None
    content = service_config(config.deploy, config.stages)
    (application,) = content["applications"]  # type: ignore[misc]
    assert application["args"] == {
        "artifact": "/mnt/shared/evervalue/arena/artifact",
        "events": "/mnt/shared/evervalue/data",
    }
    assert [item["name"] for item in application["deployments"]] == [
        "Gateway",
        "ValueModel",
        "Recommender",
    ]


def test_missing_recipe_is_named_before_anything_is_submitted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:1")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="recipe cluster/serve.yaml does not exist in"):
        run_as_jobs(PipelineConfig.load(RECIPE))


def test_cluster_that_is_not_named_or_does_not_answer_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)
    with pytest.raises(ValueError, match="no cluster: set RAY_API_SERVER_ADDRESS"):
        run_as_jobs(PipelineConfig.load(RECIPE))
    with pytest.raises(ValueError, match="no Ray cluster answers at .*http://127.0.0.1:1"):
        jobs_of("http://127.0.0.1:1")
