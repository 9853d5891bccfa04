"""Ray Train around the training loop: workers, their failures, and where checkpoints are kept."""

import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence

from ray.exceptions import RayActorError
from ray.train import (
    CheckpointConfig,
    FailureConfig,
    LoggingConfig,
    RunConfig,
    ScalingConfig,
    TrainingFailedError,
    UserCallback,
)
from ray.train.torch import TorchConfig, TorchTrainer

from lifecycle.config import Tree
from training.distributed.cluster import require_nodes, start_ray_for
from training.loop.checkpoint_files import RAY_FOLDER, tidy_checkpoints
from training.recipe import SharedRecipe
from training.run.failures import (
    StopAtMistakes,
    disk_full_line,
    failure_line,
    is_disk_full,
    mistakes_in_one_line,
)

logger = logging.getLogger(__name__)
SECONDS_BETWEEN_WARNINGS = 30.0


def train_on_worker(settings: Tree) -> None:
    """Runs in each worker: sets what DeepSpeed reads from the environment, then imports it.

    Raises ValueError for a full disk too, since new workers would only find it full again.
    """
    from training.loop.deepspeed_op import prepare_deepspeed

    if settings["num_workers"]:  # not inside the driver, which tracks the run
        sys.modules["mlflow"] = None  # type: ignore[assignment]  # DeepSpeed imports it for its autotuner: a second
    prepare_deepspeed(str(settings["device"]))
    from training.loop.worker import train_worker

    with mistakes_in_one_line(str(settings["output"])):
        train_worker(settings)


def fit(config: SharedRecipe) -> None:
    """Run the recipe's workers to the end. Lost workers are replaced and go on from the last checkpoint.

    Where nodes are lost and the recipe says `min_workers`, Ray Train goes on with as many workers
    as there is room for, and with all of them again once there is.

    Raises ValueError where the cluster is too small, where a worker found a mistake in the recipe
    or its inputs, where the disk is full, and where workers were lost or did not start more than
    `max_failures` times.
    """
    tidy_checkpoints(config.output)
    if config.num_workers:
        start_ray_for(
            config.min_workers or config.num_workers, config.cpus_per_worker, config.device
        )
    done = threading.Event()
    if config.num_workers:
        threading.Thread(target=_tell_of_missing_nodes, args=(config, done), daemon=True).start()
    try:
        run_trainer(config, train_on_worker)
    finally:
        done.set()


def _tell_of_missing_nodes(config: SharedRecipe, done: threading.Event) -> None:
    """Log, while a run waits for nodes in place of lost ones, that it does; Ray Train says nothing."""
    while not done.wait(SECONDS_BETWEEN_WARNINGS):
        try:
            require_nodes(
                config.min_workers or config.num_workers, config.cpus_per_worker, config.device
            )
        except ValueError as error:
            logger.warning("waiting for nodes: %s", error)


def run_trainer(
    config: SharedRecipe,
    worker: Callable[[Tree], None],
    callbacks: Sequence[UserCallback] = (),
) -> None:
    """Run the trainer of a recipe to its end; ValueError in one line where it fails."""
    try:
        build_trainer(config, worker, callbacks).fit()
    except (TrainingFailedError, RayActorError) as error:
        line = disk_full_line(config.output) if is_disk_full(error) else failure_line(error)
        raise ValueError(line) from None


def build_trainer(
    config: SharedRecipe,
    worker: Callable[[Tree], None],
    callbacks: Sequence[UserCallback],
) -> TorchTrainer:
    """The trainer of a recipe, whose workers run `worker`; a run of the same output folder goes on where it was."""
    os.environ["RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"] = str(config.start_timeout_seconds)
    # A process more to start, whose word nobody reads.
    os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
    num_workers = (
        config.num_workers
        if config.min_workers is None
        else (config.min_workers, config.num_workers)
    )
    resources = {"CPU": config.cpus_per_worker} | ({"GPU": 1.0} if config.device == "gpu" else {})
    return TorchTrainer(
        worker,
        train_loop_config=config.settings(),
        torch_config=TorchConfig(backend="nccl" if config.device == "gpu" else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=num_workers, use_gpu=config.device == "gpu", resources_per_worker=resources
        ),
        run_config=RunConfig(
            name=RAY_FOLDER,
            storage_path=str(config.output.absolute()),
            failure_config=FailureConfig(
                max_failures=config.max_failures, controller_failure_limit=config.max_failures
            ),
            checkpoint_config=CheckpointConfig(num_to_keep=config.keep_checkpoints),
            callbacks=[StopAtMistakes(), *callbacks],
            # Its warnings are tracebacks of calls that a busy machine answers late.
            logging_config=LoggingConfig(log_level="ERROR"),
        ),
    )
