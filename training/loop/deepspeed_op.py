"""DeepSpeed's environment, and its CPU communication op compiled once per environment."""

import fcntl
import os
import sys
import time
from pathlib import Path

OP_FOLDER = "deepspeed_shm_comm"
BUILD_DEADLINE_SECONDS = 300


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

    A process that is killed while compiling leaves a lock for which torch would wait for ever. Ours
    is a file lock, which the kernel frees with its owner: whoever holds it knows that any lock of
    torch's found here is stale.
    """
    set_environment("cpu")
    from deepspeed.ops.op_builder.cpu import (
        ShareMemCommBuilder,
    )  # before the lock, for which others wait

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
