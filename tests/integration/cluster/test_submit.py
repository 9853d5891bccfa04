"""A running cluster as the docs say it: cluster/start.sh, cluster/submit.sh, training.pipeline; ports of its own."""

import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from benchmarks.harness.ports import free_ports
from lifecycle.events.shards import DATA_KIND
from lifecycle.folders import verify
from tests.builders import REPOSITORY, TinyShop
from tests.integration.cluster.head import ray, running_head
from tests.integration.runs import metrics_of, write_recipe

pytestmark = [pytest.mark.integration, pytest.mark.alone]


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, str]]:
    with running_head("--num-cpus=2") as environment:
        yield environment


@pytest.fixture(scope="module")
def recipe(
    tiny_shop: TinyShop, tiny_base_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return write_recipe(tmp_path_factory.mktemp("recipe") / "text.yaml", tiny_shop, tiny_base_model)


def submit(
    name: str, *command: str, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    script = [str(REPOSITORY / "cluster" / "submit.sh"), name, "--", *command]
    return subprocess.run(script, env=environment, capture_output=True, text=True, timeout=300)


def test_job_is_submitted_followed_listed_and_never_twice(
    cluster: dict[str, str], tiny_shop: TinyShop, tmp_path: Path
) -> None:
    output = tmp_path / "data"
    words = (
        "python",
        "-m",
        "training.ingest",
        "--config",
        str(tiny_shop.data / "ingest.yaml"),
        f"output={output}",
    )
    result = submit("tiny-ingest", *words, environment=cluster)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "training.ingest done in" in result.stdout
    verify(output, DATA_KIND)

    again = submit("tiny-ingest", *words, environment=cluster)
    assert again.returncode == 2
    assert "has a job 'tiny-ingest' already" in again.stderr

    listed = ray("job", "list", environment=cluster).stdout
    assert "submission_id='tiny-ingest'" in listed and "SUCCEEDED" in listed


def test_failing_job_ends_with_its_message_and_a_failure(
    cluster: dict[str, str], tmp_path: Path
) -> None:
    words = ("python", "-m", "training.ingest", "--config", str(tmp_path / "missing.yaml"))
    result = submit("failing", *words, environment=cluster)
    assert result.returncode == 1
    assert "missing.yaml does not exist" in result.stdout


def test_token_is_made_for_the_user_alone(cluster: dict[str, str]) -> None:
    token = Path(cluster["HOME"]) / ".ray" / "auth_token"
    assert token.stat().st_mode & 0o077 == 0
    assert token.read_text() not in (Path(cluster["HOME"]) / "start.log").read_text()


def test_two_workers_train_on_two_cpus(
    cluster: dict[str, str], recipe: Path, tmp_path: Path
) -> None:
    words = ("python", "-m", "training.run", "--config", str(recipe), "max_steps=2")
    result = submit("train", *words, f"output={tmp_path}", environment=cluster)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert metrics_of(tmp_path)


def test_more_workers_than_cpus_are_refused_in_one_line_within_seconds(
    cluster: dict[str, str], recipe: Path, tmp_path: Path
) -> None:
    words = ("python", "-m", "training.run", "--config", str(recipe), "num_workers=5")
    result = submit("five", *words, "global_batch=20", f"output={tmp_path}", environment=cluster)
    assert result.returncode == 1 and "Traceback" not in result.stdout + result.stderr
    assert re.search(
        r"^training.run: num_workers is 5 .* of the Ray cluster's 2 CPU 2 are free",
        result.stdout,
        re.MULTILINE,
    )
    assert seconds_of("five", cluster) < 20


def seconds_of(name: str, environment: dict[str, str]) -> float:
    """How long a job took, from its submission to its end."""
    listed = ray("job", "list", environment=environment).stdout.partition(f"submission_id='{name}'")
    times = re.findall(r"(?:start|end)_time=(\d+)", listed[2])
    return (int(times[1]) - int(times[0])) / 1000


@pytest.mark.thorough
def test_mistake_that_a_worker_finds_is_one_line(
    cluster: dict[str, str], recipe: Path, tmp_path: Path
) -> None:
    words = ("python", "-m", "training.run", "--config", str(recipe), "max_tokens=50")
    result = submit("mistake", *words, f"output={tmp_path}", environment=cluster)
    assert result.returncode == 1 and "Traceback" not in result.stdout + result.stderr
    assert "training.run: max_tokens is 50, but a prompt has" in result.stdout


@pytest.mark.thorough
def test_pipeline_submits_its_stages_as_jobs_and_says_why_a_service_is_not_deployed(
    cluster: dict[str, str], tiny_shop: TinyShop, tmp_path: Path
) -> None:
    """No API key lies in this user's home, without which the service does not start."""
    arena = tmp_path / "evaluate.yaml"
    fields = {
        "data": str(tiny_shop.data),
        "examples": str(tiny_shop.examples),
        "num_resamples": 20,
        "models": ["persistence", "bgnbd_gg", "popularity"],
        "output": str(tmp_path / "arena"),
    }
    arena.write_text(yaml.safe_dump(fields))
    pipeline = tmp_path / "pipeline.yaml"
    stages = [{"name": "evaluate", "module": "training.evaluate", "config": str(arena)}]
    pipeline.write_text(
        yaml.safe_dump(
            {"runner": "jobs", "name": "shop", "stages": stages, "deploy": "cluster/serve.yaml"}
        )
    )
    command = [sys.executable, "-m", "training.pipeline", "--config", str(pipeline)]
    result = subprocess.run(
        command, env=cluster, cwd=REPOSITORY, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 1
    assert "training.evaluate done in" in result.stdout, result.stdout + result.stderr
    assert re.search(
        r"^training.pipeline: evervalue was not deployed: serving.app: .* holds no API key",
        result.stderr,
        re.MULTILINE,
    ), result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    listed = ray("job", "list", environment=cluster).stdout
    assert "submission_id='shop-evaluate'" in listed


def test_wrong_token_and_absent_cluster_are_explained(cluster: dict[str, str]) -> None:
    refused = submit(
        "other", "true", environment=cluster | {"RAY_AUTH_TOKEN": secrets.token_hex(32)}
    )
    assert refused.returncode == 2 and "wrong token: that in RAY_AUTH_TOKEN" in refused.stderr
    nobody = cluster | {"RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{free_ports(1)[0]}"}
    absent = submit("other", "true", environment=nobody)
    assert absent.returncode == 2 and "no Ray cluster answers" in absent.stderr
