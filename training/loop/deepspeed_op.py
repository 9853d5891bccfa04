"""What DeepSpeed needs before it is imported: its environment, and its CPU op compiled once per environment."""

import os
import sys
from pathlib import Path

from filelock import FileLock, Timeout

OP_FOLDER = "deepspeed_shm_comm"
BUILD_DEADLINE_SECONDS = 300


def prepare_deepspeed(device: str) -> None:
    """Set DeepSpeed's environment, and for CPUs have its op compiled; call before importing it."""
    set_deepspeed_environment(device)
    if device == "cpu":
        build_cpu_op()


def set_deepspeed_environment(device: str) -> None:
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
    torch's found here is stale. Raises ValueError where another process holds ours for too long.
    """
    set_deepspeed_environment("cpu")
    # Imported before the lock is taken: others wait for it.
    from deepspeed.ops.op_builder.cpu import ShareMemCommBuilder

    folder = Path(os.environ["TORCH_EXTENSIONS_DIR"]) / OP_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.parent / f"{OP_FOLDER}.evervalue-lock", timeout=deadline_seconds)
    try:
        with lock:
            (folder / "lock").unlink(missing_ok=True)
            ShareMemCommBuilder().load(verbose=False)
    except Timeout:
        raise ValueError(
            f"another process has been compiling DeepSpeed's op in {folder} for {deadline_seconds:.0f} s; "
            "wait for it or end it, then start again"
        ) from None
