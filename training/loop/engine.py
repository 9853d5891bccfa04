"""DeepSpeed in a worker's process: the group of processes that it works in, and a model under it."""

import io
import logging
import os
import warnings
from contextlib import redirect_stdout

import deepspeed
import torch
import torch.distributed
from deepspeed.runtime.engine import DeepSpeedEngine
from deepspeed.runtime.fp16.unfused_optimizer import FP16_UnfusedOptimizer
from torch import Tensor
from torch.distributed import HashStore, Store  # type: ignore[attr-defined]

from lifecycle.llama.decoder import fast_dtype
from training.loop.gathered_state import load_weights
from training.loop.zero import zero_config
from training.recipe import SharedRecipe
from training.tasks.protocol import Task


def quiet_libraries() -> None:
    """Leave the terminal to our progress: no advice to DeepSpeed's own developers."""
    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch\.distributed")


def make_group(store: Store, rank: int, num_workers: int) -> None:
    """A group of CPU processes without Ray Train, which meet in `store`."""
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=num_workers)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(num_workers)}


def join_group(device: str) -> None:
    """Give DeepSpeed the group of this process; without one, a group of one."""
    if not torch.distributed.is_initialized():
        make_group(HashStore(), 0, 1)
    if torch.distributed.get_world_size() == 1:
        os.environ |= {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}
    backend = "nccl" if device == "gpu" else "gloo"
    with redirect_stdout(io.StringIO()):  # it prints that its op is built
        deepspeed.init_distributed(backend, auto_mpi_discovery=False, verbose=False)


def leave_group() -> None:
    """Ray would leave torch's group and let DeepSpeed keep it for the next run in this process."""
    deepspeed.comm.destroy_process_group()


def start_engine(
    config: SharedRecipe, task: Task, state: dict[str, Tensor] | None = None
) -> DeepSpeedEngine:
    """The task's model under DeepSpeed, with the weights of a checkpoint's gathered `state`."""
    dtypes = {"bf16": torch.bfloat16, "fp32": torch.float32, "auto": fast_dtype(config.device)}
    dtype = dtypes[config.dtype]
    model, groups = task.new_model(dtype)
    if state is not None:
        load_weights(model, state)
    num_steps = config.num_steps(task.num_rows)
    num_workers = torch.distributed.get_world_size()
    engine, optimizer, *_ = deepspeed.initialize(
        model=model,
        model_parameters=[
            {"params": group.parameters, "lr": group.learning_rate} for group in groups
        ],
        config=zero_config(config, num_steps, num_workers, bf16=dtype == torch.bfloat16),
    )
    if isinstance(optimizer, FP16_UnfusedOptimizer):
        optimizer.optimizer.state.clear()  # it took a step of zeros, which Adam would count
    return engine
