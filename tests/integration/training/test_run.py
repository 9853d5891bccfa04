"""Real Ray Train, DeepSpeed and two workers: they give what one process gives, also when killed on the way."""

import contextlib
import json
import re
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from mlflow.tracking import MlflowClient

from lifecycle.llama.member import read_member
from tests.integration.runs import (
    CHECKPOINT_STEPS,
    LONG_STEPS,
    controller,
    finish,
    last_step,
    logits_of,
    metrics_of,
    resumed_steps,
    start,
    wait_for_no_worker,
    wait_for_step,
    worker_processes,
)
from tests.small_disk import small_disk
from training.loop.checkpoint_files import SNAPSHOT

pytestmark = [pytest.mark.integration, pytest.mark.alone]

SHORT = ("max_steps=8", "checkpoint_every_steps=2")


@pytest.fixture(scope="module")
def alone(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Outputs of a short and a long run by one process without a cluster: what all others must come to."""
    folder = tmp_path_factory.mktemp("alone")
    outputs = {"short": folder / "short", "long": folder / "long"}
    running = [start(recipe, None, "num_workers=0", f"output={outputs['long']}")]
    running.append(start(recipe, None, "num_workers=0", f"output={outputs['short']}", *SHORT))
    for process in running:
        finish(process)
    return outputs


def loss_curve(output: Path) -> dict[int, float]:
    """Training loss by step."""
    lines = [json.loads(line) for line in (output / "progress.jsonl").read_text().splitlines()]
    return {line["step"]: line["loss"] for line in lines}


@pytest.mark.parametrize(
    "stages", [(2,), pytest.param((0, 1, 3), marks=pytest.mark.thorough)], ids=["2", "0, 1 and 3"]
)
def test_two_workers_under_every_zero_stage_equal_one_process(
    cluster: str,
    recipe: Path,
    alone: dict[str, Path],
    tiny_base_model: Path,
    tmp_path: Path,
    stages: tuple[int, ...],
) -> None:
    prompts = ["Spend week,month,quarter,half year:1,2,3,4", "Orders month"]
    expected, logits = (
        metrics_of(alone["short"]),
        logits_of(alone["short"], tiny_base_model, prompts),
    )
    curve = loss_curve(alone["short"])
    assert {2, 4, 6, 8} <= set(curve) and len(set(curve.values())) == len(curve)
    outputs = {stage: tmp_path / str(stage) for stage in stages}
    running = {
        s: start(recipe, cluster, f"zero.stage={s}", f"output={o}", *SHORT)
        for s, o in outputs.items()
    }
    for stage, process in running.items():
        log = finish(process)
        assert "step 8/8, loss" in log and "tokens/s, ETA 0 s" in log
        assert "FutureWarning" not in log and "built successfully" not in log
        assert loss_curve(outputs[stage]) == pytest.approx(curve, rel=1e-3)
        assert metrics_of(outputs[stage]) == pytest.approx(expected, rel=1e-3)
        found = logits_of(outputs[stage], tiny_base_model, prompts)
        torch.testing.assert_close(found, logits, rtol=1e-3, atol=1e-3)


def test_killed_worker_is_replaced_and_the_run_goes_on_by_itself(
    cluster: str, recipe: Path, alone: dict[str, Path], tmp_path: Path
) -> None:
    process = start(recipe, cluster, f"output={tmp_path}")
    wait_for_step(tmp_path, 80)
    workers = worker_processes()
    assert len(workers) == 2
    workers[1].send_signal(signal.SIGKILL)
    killed_at = last_step(tmp_path)
    log = finish(process)
    [(step, num_workers)] = resumed_steps(log)
    assert killed_at - CHECKPOINT_STEPS <= step < LONG_STEPS and num_workers == 2
    assert re.search(r"worker \d failed: ", log)
    assert metrics_of(tmp_path) == pytest.approx(metrics_of(alone["long"]), rel=1e-3)


@pytest.mark.thorough
def test_killed_controller_ends_the_run_in_one_line(
    cluster: str, recipe: Path, tmp_path: Path
) -> None:
    process = start(recipe, cluster, f"output={tmp_path}")
    wait_for_step(tmp_path, CHECKPOINT_STEPS + 1)
    controller().send_signal(signal.SIGKILL)
    log = finish(process, status=1)
    assert "start the same command again: it goes on from the last checkpoint" in log
    own_lines = [line for line in log.splitlines() if "(RayTrainWorker" not in line]
    assert "Traceback" not in "\n".join(own_lines)
    wait_for_no_worker()


@dataclass(frozen=True)
class Killed:
    """A run whose driver was killed; `left` is a copy of what it left in `output`."""

    output: Path
    left: Path
    overrides: tuple[str, ...]

    def restore(self) -> Path:
        """The output as it was when the driver had died."""
        shutil.rmtree(self.output)
        shutil.copytree(self.left, self.output)
        return self.output


@pytest.fixture(scope="module")
def killed(cluster: str, recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Killed:
    """A run that MLflow follows, killed after some checkpoints."""
    output = tmp_path_factory.mktemp("killed") / "text"
    overrides = f"output={output}", f"tracking={{uri: 'sqlite:///{output / 'mlflow.db'}'}}"
    process = start(recipe, cluster, *overrides)
    wait_for_step(output, 80)
    process.kill()
    process.communicate()
    wait_for_no_worker()
    left = output.parent / "left"
    shutil.copytree(output, left)
    return Killed(output, left, overrides)


@pytest.mark.thorough
def test_killed_driver_resumes_with_the_same_command(
    cluster: str, recipe: Path, alone: dict[str, Path], killed: Killed
) -> None:
    output = killed.restore()
    killed_at = last_step(output)
    assert not (output / "member").exists()
    log = finish(start(recipe, cluster, *killed.overrides))
    [(step, _)] = resumed_steps(log)
    assert killed_at - CHECKPOINT_STEPS <= step < LONG_STEPS
    assert metrics_of(output) == pytest.approx(metrics_of(alone["long"]), rel=1e-3)
    steps = list(loss_curve(output))
    assert steps == sorted(steps), "what was done twice stands there once"
    check_one_mlflow_run(output)


@pytest.mark.thorough
def test_killed_run_goes_on_with_other_workers_and_sharding_and_with_no_other_recipe(
    cluster: str, recipe: Path, alone: dict[str, Path], killed: Killed
) -> None:
    output = killed.restore()
    changed = ("optimizer.learning_rate=0.1", "global_batch=16")
    log = finish(start(recipe, cluster, *killed.overrides, *changed), status=1)
    told = "optimizer.learning_rate was 0.0005 and is 0.1, global_batch was 8 and is 16"
    assert f"training.run: {output} holds a run of another recipe: {told}; go on with" in log
    log = finish(start(recipe, cluster, *killed.overrides, "num_workers=1", "zero.stage=0"))
    [(_, num_workers)] = resumed_steps(log)
    assert num_workers == 1
    assert metrics_of(output) == pytest.approx(metrics_of(alone["long"]), rel=1e-3)


def check_one_mlflow_run(output: Path) -> None:
    """MLflow has a killed and resumed run once, whole, with growing steps, and its member once."""
    client = MlflowClient(f"sqlite:///{output / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("evervalue")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    lines = [json.loads(line) for line in (output / "progress.jsonl").read_text().splitlines()]
    entered = [metric.step for metric in client.get_metric_history(run.info.run_id, "val_loss")]
    assert entered == [line["step"] for line in lines if "val_loss" in line]
    losses = [metric.step for metric in client.get_metric_history(run.info.run_id, "loss")]
    assert losses == sorted(set(losses)) and set(entered) <= set(losses)
    (version,) = client.search_model_versions(f"run_id='{run.info.run_id}'")
    assert version.tags["identity"] == read_member(output / "member").identity


@pytest.mark.thorough
def test_truncated_checkpoint_and_half_written_list_are_passed_over(
    cluster: str, recipe: Path, alone: dict[str, Path], killed: Killed
) -> None:
    output = killed.restore()
    older, newest = sorted((output / "ray").glob("checkpoint_*/"))[-2:]
    step = json.loads((older / "part-0.json").read_text())["step"]
    state, snapshot = newest / "state.safetensors", output / "ray" / SNAPSHOT
    for path in (state, snapshot):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    log = finish(start(recipe, cluster, *killed.overrides))
    assert "is damaged or names checkpoints that are gone; it is put aside" in log
    assert re.search(
        r"checkpoint .* was not finished and is removed: state.safetensors is not the file", log
    )
    assert resumed_steps(log) == [(step, 2)]
    assert metrics_of(output) == pytest.approx(metrics_of(alone["long"]), rel=1e-3)


@pytest.fixture
def disk() -> Iterator[Path]:
    with small_disk(megabytes=4) as folder:
        yield folder


@pytest.mark.thorough
def test_full_disk_ends_the_run_and_with_room_again_it_goes_on(
    cluster: str, recipe: Path, alone: dict[str, Path], disk: Path
) -> None:
    output, filler = disk / "text", disk / "filler"
    process = start(recipe, cluster, f"output={output}")
    wait_for_step(output, 60)
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    log = finish(process, status=1)
    assert re.search(
        r"^training.run: no space is left on the disk of .*: it goes on from the last",
        log,
        re.MULTILINE,
    )
    filler.unlink()
    log = finish(start(recipe, cluster, f"output={output}"))
    [(step, _)] = resumed_steps(log)
    assert 40 <= step < LONG_STEPS
    assert metrics_of(output) == pytest.approx(metrics_of(alone["long"]), rel=1e-3)
