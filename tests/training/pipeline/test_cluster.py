"""Stages as jobs: their ids, and the service that is deployed; a real cluster is tests/integration/cluster/."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import ray

from tests.builders import REPOSITORY
from training.pipeline import cluster
from training.pipeline.cluster import deploy, jobs_of, next_id, run_as_jobs, service_config
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


@contextmanager
def head(*statuses: int) -> Iterator[tuple[str, list[int]]]:
    """A Ray head that answers requests to deploy with these statuses in turn; its address, and those it gave."""
    given: list[int] = []

    class Head(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            applications = {"evervalue": {"status": "RUNNING", "message": ""}}
            self._answer(200, {"ray_version": ray.__version__, "applications": applications})

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            given.append(statuses[len(given)])
            self._answer(given[-1], "Traceback ...\nActorDiedError\nkilled by `ray.kill`.\n.")

        def _answer(self, status: int, content: object) -> None:
            body = content if isinstance(content, str) else json.dumps(content)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """No log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Head)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", given
    server.shutdown()
    server.server_close()


def test_serve_that_stumbles_while_it_starts_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cluster, "SECONDS_BETWEEN_LOOKS", 0.01)
    with head(500, 200) as (address, given):
        deploy({"applications": []}, address)
    assert given == [500, 200]


@pytest.mark.parametrize("statuses", [(500, 500, 500), (400,)])
def test_serve_that_does_not_take_the_application_ends_in_one_line(
    monkeypatch: pytest.MonkeyPatch, statuses: tuple[int, ...]
) -> None:
    monkeypatch.setattr(cluster, "SECONDS_BETWEEN_LOOKS", 0.01)
    with head(*statuses) as (address, given):
        with pytest.raises(ValueError, match="application: killed by `ray.kill`.$"):
            deploy({"applications": []}, address)
    assert tuple(given) == statuses
