"""Real Ray Train, DeepSpeed and two workers: they give what one process gives, also when killed on the way."""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import ray
import torch
import yaml
from mlflow.tracking import MlflowClient

from lifecycle.member import read_member
from lifecycle.model import load_tokenizer, load_value_model, pad_tokens
from tests.conftest import TinyShop, decoder

pytestmark = pytest.mark.integration
REPOSITORY = Path(__file__).parents[2]
NUM_CPUS = 5
LONG_STEPS = 200


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Address of a cluster that all tests here share; it belongs to this process."""
    ray.init(num_cpus=NUM_CPUS, include_dashboard=True, log_to_driver=False)
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()


@pytest.fixture(scope="module")
def recipe(tiny_shop: TinyShop, tiny_base_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training recipe of the tiny shop; every run gives its own output."""
    path = tmp_path_factory.mktemp("recipe") / "text.yaml"
    fields = {
        "data": str(tiny_shop.data), "examples": str(tiny_shop.examples), "base_model": str(tiny_base_model),
        "lora": {"rank": 4, "alpha": 8}, "max_tokens": 320, "dtype": "fp32", "attention": "eager",
        "zero": {"stage": 2}, "global_batch": 8, "micro_batch": 4, "epochs": 20, "max_steps": LONG_STEPS,
        "validation_rows": 16, "checkpoint_every_steps": 20, "num_workers": 2, "tracking": None,
        "output": "given per run",
    }  # fmt: skip
    path.write_text(yaml.safe_dump(fields))
    return path


def start(recipe: Path, address: str | None, *overrides: str) -> subprocess.Popen[str]:
    """`python -m training.run` as a user would start it, on the cluster at `address`."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    environment |= {"RAY_ADDRESS": address, "RAY_AUTH_MODE": "token"} if address else {}
    return subprocess.Popen(
        [sys.executable, "-m", "training.run", "--config", str(recipe), *overrides],
        cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def finish(process: subprocess.Popen[str], status: int = 0) -> str:
    """The output of a process that ends with the given status."""
    output, _ = process.communicate(timeout=200)
    assert process.returncode == status, output[-5000:]
    return output


def wait_for_step(output: Path, step: int) -> None:
    """Until progress.jsonl tells of `step` or a later one."""
    give_up_at = time.monotonic() + 150
    path = output / "progress.jsonl"
    while time.monotonic() < give_up_at:
        lines = path.read_text().splitlines() if path.exists() else []
        if lines and json.loads(lines[-1])["step"] >= step:
            return
        time.sleep(0.05)
    raise AssertionError(f"no step {step} in {path}")


def worker_processes() -> list[psutil.Process]:
    """Ray Train's workers on this module's cluster."""
    children = psutil.Process().children(recursive=True)
    return [child for child in children if "RayTrainWorker" in " ".join(child.cmdline())]


def metrics_of(output: Path) -> dict[str, float]:
    """Final metrics of a finished run whose member verifies."""
    metrics = read_member(output / "member")["metrics"]
    assert isinstance(metrics, dict)
    return metrics


def logits_of(output: Path, base_model: Path, prompts: list[str]) -> torch.Tensor:
    """What the member predicts."""
    model, _ = load_value_model(output / "member", decoder(base_model), torch.float32)
    tokenizer = load_tokenizer(base_model)
    with torch.inference_mode():
        return model(*pad_tokens(tokenizer(prompts)["input_ids"], tokenizer.pad_token_id))


@pytest.fixture(scope="module")
def alone(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Outputs of runs by one process without a cluster, by number of steps: what all others must come to."""
    folder = tmp_path_factory.mktemp("alone")
    outputs = {steps: folder / str(steps) for steps in (8, LONG_STEPS)}
    running = [start(recipe, None, "num_workers=0", f"max_steps={n}", f"output={o}") for n, o in outputs.items()]
    for process in running:
        finish(process)
    return outputs


def test_two_workers_under_zero_stages_0_and_3_equal_one_process(
    cluster: str, recipe: Path, alone: dict[int, Path], tiny_base_model: Path, tmp_path: Path
) -> None:
    prompts = ["Spend week,month,quarter,half year:1,2,3,4", "Orders month"]
    expected, logits = metrics_of(alone[8]), logits_of(alone[8], tiny_base_model, prompts)
    running = {
        s: start(recipe, cluster, f"zero.stage={s}", "max_steps=8", f"output={tmp_path / str(s)}") for s in (0, 3)
    }
    for stage, process in running.items():
        log = finish(process)
        assert "step 8/8, loss" in log and "tokens/s, ETA 0 s" in log
        assert "FutureWarning" not in log and "built successfully" not in log
        assert metrics_of(tmp_path / str(stage)) == pytest.approx(expected, rel=1e-3)
        found = logits_of(tmp_path / str(stage), tiny_base_model, prompts)
        torch.testing.assert_close(found, logits, rtol=1e-3, atol=1e-3)


def test_killed_worker_is_replaced_and_the_run_goes_on_by_itself(
    cluster: str, recipe: Path, alone: dict[int, Path], tmp_path: Path
) -> None:
    process = start(recipe, cluster, f"output={tmp_path}")
    wait_for_step(tmp_path, 80)
    workers = worker_processes()
    assert len(workers) == 2
    workers[1].send_signal(signal.SIGKILL)
    log = finish(process)
    resumed = [int(step) for step in re.findall(r"resumed at step (\d+)", log)]
    assert len(resumed) == 1 and 0 < resumed[0] < LONG_STEPS and resumed[0] % 20 == 0
    assert re.search(r"worker \d failed: ", log)
    assert metrics_of(tmp_path) == pytest.approx(metrics_of(alone[LONG_STEPS]), rel=0.02)


def test_killed_driver_resumes_with_the_same_command(
    cluster: str, recipe: Path, alone: dict[int, Path], tmp_path: Path
) -> None:
    overrides = f"output={tmp_path}", f"tracking={{uri: 'sqlite:///{tmp_path / 'mlflow.db'}'}}"
    process = start(recipe, cluster, *overrides)
    wait_for_step(tmp_path, 80)
    process.kill()
    process.communicate()
    assert not (tmp_path / "member").exists()
    log = finish(start(recipe, cluster, *overrides))
    resumed = [int(step) for step in re.findall(r"resumed at step (\d+)", log)]
    assert len(resumed) == 1 and 0 < resumed[0] < LONG_STEPS
    assert metrics_of(tmp_path) == pytest.approx(metrics_of(alone[LONG_STEPS]), rel=0.02)
    check_one_mlflow_run(tmp_path)


def check_one_mlflow_run(output: Path) -> None:
    """MLflow has a killed and resumed run once, whole, with growing steps, and its member once."""
    client = MlflowClient(f"sqlite:///{output / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("evervalue")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    lines = [json.loads(line) for line in (output / "progress.jsonl").read_text().splitlines()]
    for name in ("loss", "val_loss"):
        steps = [line["step"] for line in lines if name in line]
        furthest = sorted(set(itertools.accumulate(steps, max)))  # without what was done again after the kill
        assert [metric.step for metric in client.get_metric_history(run.info.run_id, name)] == furthest
    (version,) = client.search_model_versions(f"run_id='{run.info.run_id}'")
    assert version.tags["identity"] == read_member(output / "member")["identity"]


def test_more_workers_than_the_cluster_has_are_refused_before_anything_starts(
    cluster: str, recipe: Path, tmp_path: Path
) -> None:
    log = finish(start(recipe, cluster, "num_workers=6", "global_batch=24", f"output={tmp_path / 'text'}"), status=1)
    assert "num_workers is 6 with 1 CPU each = 6, but the Ray cluster has 5 CPU; lower num_workers" in log
    assert "Traceback" not in log
    assert not (tmp_path / "text" / "ray").exists()


def test_mistake_that_workers_find_ends_the_run_at_once_in_one_line(cluster: str, recipe: Path, tmp_path: Path) -> None:
    log = finish(start(recipe, cluster, "max_tokens=50", f"output={tmp_path}"), status=1)
    assert re.search(r"^training.run: max_tokens is 50, but a prompt has \d+ tokens$", log, re.MULTILINE)
    assert len(re.findall("Error in training function", log)) <= 2  # once per worker: nothing was tried again
    assert not (tmp_path / "progress.jsonl").exists()


def test_cluster_that_does_not_answer_is_named(recipe: Path, tmp_path: Path) -> None:
    log = finish(start(recipe, "127.0.0.1:9", f"output={tmp_path / 'text'}"), status=1)
    assert re.search(r"^training.run: no Ray cluster lets us in at RAY_ADDRESS 127.0.0.1:9", log, re.MULTILINE)
    assert not (tmp_path / "text" / "member").exists()


@contextmanager
def cpus_taken(count: int) -> Iterator[None]:
    """Somebody else's work that holds CPUs of the cluster."""
    group = ray.util.placement_group([{"CPU": count}])
    ray.get(group.ready())
    yield
    ray.util.remove_placement_group(group)


def test_workers_that_cannot_start_end_in_an_error_not_in_a_hang(cluster: str, recipe: Path, tmp_path: Path) -> None:
    with cpus_taken(NUM_CPUS - 1):
        process = start(recipe, cluster, "start_timeout_seconds=10", "max_failures=0", f"output={tmp_path}")
        log = finish(process, status=1)
    assert re.search(r"^training.run: the workers did not start: .* timed out after 10", log, re.MULTILINE)
