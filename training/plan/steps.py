"""How long a CPU recipe will take: its first steps, taken for real on this machine in processes of their own."""

import json
import logging
import math
import os
import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from lifecycle.config import Tree
from lifecycle.folders import MANIFEST
from training.loop.deepspeed_op import prepare_deepspeed
from training.plan.memory import GIB
from training.tasks.recipes.union import PlannedRecipe

MEASURED_SECONDS = 12.0
MOST_STEPS = 100
MOST_PASSES = 4  # forward passes of a measured step, per worker; longer steps are scaled from these
VALIDATED_PASSES = 8  # of validation, per worker
LIBRARIES_GIB = 0.9  # that a worker of Ray Train takes for Python and its libraries alone
MISTAKE_FILE = "mistake.txt"
TIMES_FILE = "times.json"


@dataclass(frozen=True)
class StepTimes:
    """What was measured, for the recipe's whole steps and validations."""

    seconds_to_start: float
    seconds_per_step: float
    seconds_per_validation: float
    measured_steps: int
    measured_workers: int
    worker_gib: float  # peak of a worker, Python and libraries included


def why_not_measured(config: PlannedRecipe, peak_gib: float) -> str | None:
    """Why no step can be taken here, or None where it can; `peak_gib` is the plan's memory of a worker."""
    if config.device == "gpu":
        return "device is gpu: a step is measured on the CPUs of this machine alone"
    if not (config.examples / MANIFEST).is_file():
        return f"there are no examples in {config.examples} yet"
    if config.base_model is not None and not any(Path(config.base_model).glob("*.safetensors")):
        return f"{config.base_model} holds no weights (*.safetensors)"
    needed = _measured_workers(config) * (peak_gib + LIBRARIES_GIB)
    available = psutil.virtual_memory().available / GIB
    if needed > available:
        return f"the workers need {needed:.1f} GiB, and this machine has {available:.1f} GiB left"
    return None


def measure_steps(config: PlannedRecipe, num_validation_rows: int) -> StepTimes:
    """Take the recipe's first steps and validate, for some seconds; `num_validation_rows` is what a validation scores.

    All workers take part where this machine has the cores for them, otherwise one does what each of
    them would. The recipe's output folder is not touched.

    Raises ValueError for a mistake that the workers find in the recipe or its inputs, and where
    they are killed.
    """
    from torch.multiprocessing.spawn import ProcessExitedException, spawn

    num_workers = _measured_workers(config)
    changes = _measured_part(config, num_workers)
    with tempfile.TemporaryDirectory(prefix="evervalue-plan-") as name:
        folder = Path(name)
        settings = config.model_copy(
            update=changes | {"output": folder, "min_workers": None}
        ).model_dump(mode="json")
        started_at = time.time()  # the clock that processes share
        try:
            spawn(  # type: ignore[no-untyped-call]
                _time_worker, args=(settings, num_workers, started_at, folder), nprocs=num_workers
            )
        except ProcessExitedException as error:
            mistake = folder / MISTAKE_FILE
            raise ValueError(
                mistake.read_text() if mistake.exists() else f"measuring a step failed: {error}"
            ) from None
        times = json.loads((folder / TIMES_FILE).read_text())
    passes = config.accumulation(config.num_processes)
    rows_each = num_validation_rows / config.num_processes
    measured_rows_each = min(num_validation_rows, changes["validation_rows"]) / num_workers
    return StepTimes(
        seconds_to_start=times["start"],
        seconds_per_step=times["step"] * passes / min(passes, MOST_PASSES),
        seconds_per_validation=times["validation"] * rows_each / measured_rows_each,
        measured_steps=times["steps"],
        measured_workers=num_workers,
        worker_gib=times["worker_gib"],
    )


def _measured_workers(config: PlannedRecipe) -> int:
    """All where each has the cores that it asks for, else one."""
    number = config.num_processes
    return number if number * config.cpus_per_worker <= (os.cpu_count() or 1) else 1


def _measured_part(config: PlannedRecipe, num_workers: int) -> dict[str, int]:
    """A step with as many passes per worker as in the recipe, up to a limit, and a short validation."""
    passes = min(config.accumulation(config.num_processes), MOST_PASSES)
    at_once = config.micro_batch * num_workers
    return {
        "num_workers": num_workers,
        "global_batch": at_once * passes,
        "validation_rows": min(config.validation_rows, at_once * VALIDATED_PASSES),
    }


def _time_worker(
    rank: int, settings: Tree, num_workers: int, started_at: float, folder: Path
) -> None:
    """Runs in each process; the first writes what it measured."""
    os.dup2(2, 1)  # what libraries print goes to standard error
    prepare_deepspeed("cpu")
    try:
        times = _take_times(rank, settings, num_workers, started_at, folder)
    except ValueError as error:
        (folder / MISTAKE_FILE).write_text(str(error))
        raise SystemExit(1) from None
    if rank == 0:
        (folder / TIMES_FILE).write_text(json.dumps(times))


def _take_times(
    rank: int, settings: Tree, num_workers: int, started_at: float, folder: Path
) -> dict[str, float]:
    from torch.distributed import FileStore  # type: ignore[attr-defined]

    from training.loop.engine import make_group
    from training.loop.worker import start_run

    make_group(FileStore(str(folder / "group"), num_workers), rank, num_workers)
    run = start_run(settings)
    # Its progress is that of a training run.
    logging.getLogger("training.loop").setLevel(logging.WARNING)
    started = time.time() - started_at
    run.take_step(0)
    seconds: list[float] = []
    while len(seconds) < MOST_STEPS and _slowest(sum(seconds)) < MEASURED_SECONDS:
        before = time.monotonic()
        run.take_step((len(seconds) + 1) % run.num_steps)  # a short run has fewer
        seconds.append(time.monotonic() - before)
    before = time.monotonic()
    run.validate()
    return {
        "start": started,
        "step": sum(seconds) / len(seconds),
        "steps": len(seconds),
        "validation": time.monotonic() - before,
        "worker_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB,
    }


def _slowest(seconds: float) -> float:
    """The same on all workers, so that they stop at the same step."""
    import torch.distributed

    value = torch.tensor(seconds)
    torch.distributed.all_reduce(value, torch.distributed.ReduceOp.MAX)
    return float(value)


def num_validations(config: PlannedRecipe, num_steps: int) -> int:
    """One at every checkpoint, of which there is one after the last step; and one of the last weights as a member."""
    return math.ceil(num_steps / config.checkpoint_every_steps) + (config.export == "last")
