"""DeepSpeed: its configuration from typed fields, and its CPU communication op compiled once per environment."""

import fcntl
import os
import sys
import time
from pathlib import Path

from training.recipe import TrainConfig

OP_FOLDER = "deepspeed_shm_comm"
BUILD_DEADLINE_SECONDS = 300


def zero_config(config: TrainConfig, num_steps: int, num_workers: int, *, bf16: bool) -> dict[str, object]:
    """DeepSpeed's dictionary for a run of `num_steps` optimiser steps on `num_workers` workers."""
    optimizer = config.optimizer
    zero: dict[str, object] = {"stage": config.zero.stage}
    if config.zero.offload_optimizer:
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": True}
    if config.zero.offload_parameters:
        zero["offload_param"] = {"device": "cpu", "pin_memory": True}
    if config.zero.stage == 3:
        zero["stage3_gather_16bit_weights_on_model_save"] = True
    return {
        "train_batch_size": config.global_batch,
        "train_micro_batch_size_per_gpu": config.micro_batch,
        "gradient_accumulation_steps": config.accumulation(num_workers),
        "gradient_clipping": optimizer.clip_norm,
        "bf16": {"enabled": bf16},
        "zero_optimization": zero,
        "optimizer": {
            "type": "AdamW",
            "params": {
                "torch_adam": config.device == "cpu",
                "lr": optimizer.learning_rate,
                "betas": list(optimizer.betas),
                "weight_decay": optimizer.weight_decay,
            },
        },
        "scheduler": {
            "type": "WarmupCosineLR",
            "params": {
                "total_num_steps": num_steps,
                "warmup_num_steps": max(2, round(optimizer.warmup_share * num_steps)),
                "warmup_type": "linear",
                "cos_min_ratio": optimizer.final_share,
            },
        },
        "zero_allow_untested_optimizer": True,
        "steps_per_print": 10**9,
        "wall_clock_breakdown": False,
    }


def set_environment(device: str) -> None:
    """What DeepSpeed reads from the environment; call before importing it."""
    if device == "cpu":
        os.environ["DS_ACCELERATOR"] = "cpu"
    os.environ.setdefault("TORCH_EXTENSIONS_DIR", str(Path(sys.prefix) / "torch_extensions"))
    binaries = str(Path(sys.executable).parent)  # ninja lives beside python
    if binaries not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] = binaries + os.pathsep + os.environ["PATH"]


def build_cpu_op(deadline_seconds: float = BUILD_DEADLINE_SECONDS) -> None:
    """Compile DeepSpeed's shared-memory op unless that is done (about 40 s).

    A process that is killed while compiling leaves a lock for which torch would wait for ever. Ours is a file lock,
    which the kernel frees with its owner: whoever holds it knows that any lock of torch's found here is stale.
    """
    set_environment("cpu")
    from deepspeed.ops.op_builder.cpu import ShareMemCommBuilder  # before the lock, for which others wait

    folder = Path(os.environ["TORCH_EXTENSIONS_DIR"]) / OP_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{OP_FOLDER}.evervalue-lock").open("w") as lock:
        _wait_for(lock.fileno(), folder, deadline_seconds)
        (folder / "lock").unlink(missing_ok=True)
        ShareMemCommBuilder().load(verbose=False)


def _wait_for(descriptor: int, folder: Path, deadline_seconds: float) -> None:
    give_up_at = time.monotonic() + deadline_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > give_up_at:
                raise ValueError(
                    f"another process has been compiling DeepSpeed's op in {folder} for {deadline_seconds:.0f} s; "
                    "wait for it or end it, then start again"
                ) from None
            time.sleep(0.2)
