"""Checkpoints of a run in progress: saved by every worker through Ray Train, and loaded by as many or by fewer."""

import logging
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import ray.train
import torch.distributed
from deepspeed.runtime.engine import DeepSpeedEngine
from safetensors.torch import load_file, save_file
from torch import Tensor

from training.loop.checkpoint_files import first_part, newest_checkpoint, write_part
from training.loop.gathered_state import gather_state, scatter_state
from training.tasks.recipes.union import TrainConfig

logger = logging.getLogger(__name__)
GATHERED_FILE = "state.safetensors"
TAG = "state"  # folder of DeepSpeed's shards
# DeepSpeed's shards made whole, below the output folder while they are loaded.
UNIVERSAL_FOLDER = "universal"


def report_checkpoint(
    config: TrainConfig, engine: DeepSpeedEngine, step: int, metrics: dict[str, float]
) -> None:
    """Save this worker's part and report it; the checkpoint counts once every worker has reported.

    Raises OSError or what the writing library makes of it where the disk is full; the previous
    checkpoint stays.
    """
    rank = torch.distributed.get_rank()
    num_workers = torch.distributed.get_world_size()
    with tempfile.TemporaryDirectory(prefix="evervalue-checkpoint-") as name:
        folder = Path(name)
        if config.gathered_checkpoints:
            state = gather_state(engine)
            if rank == 0:
                save_file(state, folder / GATHERED_FILE)
        else:
            engine.save_checkpoint(name, tag=TAG)
        num_parts = 1 if config.gathered_checkpoints else num_workers
        checkpoint = None
        if rank < num_parts:
            write_part(folder, rank, step=step, num_workers=num_workers, num_parts=num_parts)
            checkpoint = ray.train.Checkpoint.from_directory(name)
        ray.train.report(metrics | {"step": step}, checkpoint=checkpoint)


def find_checkpoint(output: Path) -> Path | None:
    """The newest whole checkpoint of this run, the same on every worker; rank 0 looks."""
    found = [newest_checkpoint(output) if torch.distributed.get_rank() == 0 else None]
    torch.distributed.broadcast_object_list(found)
    return found[0]


def gathered_state(config: TrainConfig, checkpoint: Path | None) -> dict[str, Tensor] | None:
    """Weights and moments as whole tensors; None without a checkpoint, or where it holds DeepSpeed's shards."""
    return (
        load_file(checkpoint / GATHERED_FILE)
        if checkpoint and config.gathered_checkpoints
        else None
    )


def restore(
    config: TrainConfig, engine: DeepSpeedEngine, checkpoint: Path, state: dict[str, Tensor] | None
) -> int:
    """Bring a new engine to a whole checkpoint, `state` its gathered tensors if it has them; the steps already done."""
    saved = first_part(checkpoint)
    if state is not None:
        scatter_state(engine, state, saved.step)
    elif (
        saved.num_workers == torch.distributed.get_world_size()
        or engine.zero_optimization_stage() == 0
    ):
        engine.load_checkpoint(str(checkpoint), tag=TAG)
    else:
        load_universal(engine, checkpoint / TAG, config.output / UNIVERSAL_FOLDER)
    return saved.step


def load_universal(engine: DeepSpeedEngine, shards: Path, folder: Path) -> None:
    """Load shards that another number of workers saved, by DeepSpeed's universal checkpoint (arXiv 2406.18820).

    Rank 0 writes it to `folder`, which all workers must see, and removes it at the end.
    """
    is_first = torch.distributed.get_rank() == 0
    if is_first:
        logger.info(
            "making the shards in %s whole for %d workers",
            shards,
            torch.distributed.get_world_size(),
        )
        shutil.rmtree(folder, ignore_errors=True)
        command = [
            sys.executable,
            *("-m", "deepspeed.checkpoint.ds_to_universal"),
            *("--input_folder", str(shards)),
            *("--output_folder", str(folder / TAG)),
            "--inject_missing_state",
        ]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if done.returncode:
            raise ValueError(f"DeepSpeed could not make {shards} whole: {done.stdout[-2000:]}")
    torch.distributed.barrier()
    engine._config.load_universal_checkpoint = True
    engine.load_checkpoint(str(folder), tag=TAG)
    engine._config.load_universal_checkpoint = False
    # All groups got the first one's learning rate.
    engine.lr_scheduler.step(engine.lr_scheduler.last_batch_iteration)
    for state in (
        engine.optimizer.optimizer.state.values()
    ):  # and under stage 3 one tensor to count their steps in
        if torch.is_tensor(state.get("step")):
            state["step"] = state["step"].clone()
    torch.distributed.barrier()
    if is_first:
        shutil.rmtree(folder)
